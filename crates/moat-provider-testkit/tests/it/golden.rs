//! Golden files.

use std::panic::catch_unwind;

use moat_provider_core::*;
use moat_provider_testkit::golden::{self, Picture};
use moat_provider_testkit::run_context;

fn picture() -> String {
    let run = run_context("golden").build();
    let shape = PlaceholderShape::prefixed("smp_", Alphabet::Alphanumeric, 32);
    let token = run.placeholder(&"sample".parse().unwrap(), "token", &shape).unwrap();
    let env = [
        EnvVar::new("SAMPLE_TOKEN", token.as_str()).unwrap(),
        EnvVar::new("SAMPLE_PROMPT", "0").unwrap(),
    ];
    let path = run.home().join(".config/sample.json").unwrap();
    let cache = run.home().join(".cache/sample").unwrap();
    let mut mounts = ContainerMounts::default();
    mounts.files.push(StagedFile::new(path, format!("{{\n  \"token\": \"{token}\"\n}}\n")));
    for (source, access) in [
        (MountSource::PrivateToWorkspace("sample".into()), MountAccess::ReadWrite),
        (MountSource::Host("/opt/sample/share".into()), MountAccess::ReadOnly),
    ] {
        mounts.mounts.push(MountConfig::new(source, cache.clone(), access));
    }
    Picture::new().env(&env).mounts(&mounts).placeholder("token", &token).to_string()
}

#[test]
fn a_picture_is_the_same_in_every_run() {
    assert_eq!(picture(), picture());
    golden::check("tests/golden/container.txt", &picture());
}

#[test]
fn a_difference_is_shown_by_its_lines() {
    let changed = picture().replace("SAMPLE_PROMPT=0", "SAMPLE_PROMPT=1");
    let panic = catch_unwind(|| golden::check("tests/golden/container.txt", &changed));
    let text = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.ends_with(
            "MOAT_BLESS=1\nfrom line 2:\n- env SAMPLE_PROMPT=0\n+ env SAMPLE_PROMPT=1\n"
        ),
        "{text}"
    );
}

#[test]
#[should_panic(expected = "run the test with MOAT_BLESS=1 to write it")]
fn a_missing_file_is_no_success() {
    golden::check("tests/golden/missing.txt", "text");
}
