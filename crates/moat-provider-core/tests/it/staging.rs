//! What is placed into a container.

use moat_provider_core::{
    ContainerMounts, ContainerPath, EnvVar, ErrorKind, MountAccess, MountConfig, MountSource,
    StagedFile, Staging,
};
use proptest::prelude::*;

use crate::support::{key, path};

fn var(name: &str, value: &str) -> EnvVar {
    EnvVar::new(name, value).unwrap()
}

fn files(files: impl IntoIterator<Item = StagedFile>) -> ContainerMounts {
    let mut mounts = ContainerMounts::default();
    mounts.files.extend(files);
    mounts
}

fn mount(target: &str) -> ContainerMounts {
    let mut mounts = ContainerMounts::default();
    let source = MountSource::PrivateToWorkspace("sessions".into());
    mounts.mounts.push(MountConfig::new(source, path(target), MountAccess::ReadWrite));
    mounts
}

#[test]
fn container_paths_are_absolute_and_plain() {
    for good in ["/", "/a", "/a/.b/c d"] {
        assert_eq!(path(good).as_str(), good);
    }
    for bad in ["", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/a\n", "/a\0"] {
        assert_eq!(bad.parse::<ContainerPath>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let home = path("/home/agent");
    assert_eq!(home.join(".config/gh").unwrap().as_str(), "/home/agent/.config/gh");
    assert_eq!(path("/").join("a").unwrap(), path("/a"));
    assert!(home.join("../x").is_err() && home.join("/x").is_err() && home.join("").is_err());
    assert!(path("/home/agent/x").is_below(&home) && path("/x").is_below(&path("/")));
    assert!(!home.is_below(&home) && !path("/home/agent2").is_below(&home));
    assert!(!path("/").is_below(&path("/")));
}

#[test]
fn names_of_variables_are_checked_and_values_not_shown() {
    assert_eq!(var("_A1", "x=y\n").value(), "x=y\n");
    for bad in ["", "1A", "A-B", "A=B", "A B", "Ä"] {
        assert!(EnvVar::new(bad, "x").is_err(), "{bad:?} was taken");
    }
    let error = EnvVar::new("A", "hunter2\0").unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn two_owners_may_say_the_same() {
    let (one, two) = (key("one"), key("two"));
    let mut staging = Staging::default();
    let file = StagedFile::new(path("/h/f"), "same").mode(0o7644);
    assert_eq!(file.permissions(), 0o644);
    for owner in [&one, &two] {
        staging.add_env(owner, [var("A", "1")]).unwrap();
        staging.add_mounts(owner, files([file.clone()])).unwrap();
        staging.add_mounts(owner, mount("/h/s")).unwrap();
    }
    assert_eq!(staging.env().count(), 1);
    assert_eq!(staging.files().count(), 1);
    assert_eq!(staging.mounts().count(), 1);
}

#[test]
fn two_owners_that_differ_are_named() {
    let (one, two) = (key("one"), key("two:x"));
    let mut staging = Staging::default();
    staging.add_env(&one, [var("A", "1")]).unwrap();
    staging.add_mounts(&one, files([StagedFile::new(path("/h/f"), "1")])).unwrap();
    staging.add_mounts(&one, mount("/h/s")).unwrap();
    let errors = [
        staging.add_env(&two, [var("A", "2")]).unwrap_err(),
        staging.add_mounts(&two, files([StagedFile::new(path("/h/f"), "2")])).unwrap_err(),
        staging.add_mounts(&two, files([StagedFile::new(path("/h/s"), "")])).unwrap_err(),
        staging.add_mounts(&two, mount("/h/f")).unwrap_err(),
    ];
    for (error, what) in errors.iter().zip(["A", "/h/f", "/h/s", "/h/f"]) {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        for part in ["one", "two:x", what] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}

#[test]
fn the_person_has_the_last_word() {
    let mut staging = Staging::default();
    staging.add_env(&key("one"), [var("A", "1")]).unwrap();
    staging.replace_env(var("A", "mine"));
    assert_eq!(staging.env().map(EnvVar::value).collect::<Vec<_>>(), ["mine"]);
    let error = staging.add_env(&key("two"), [var("A", "2")]).unwrap_err();
    assert!(error.message().contains("the person"), "{error}");
}

#[test]
fn a_file_shows_no_contents() {
    let shown = format!("{:?}", StagedFile::new(path("/h/f"), "contents"));
    assert!(shown.contains("/h/f") && !shown.contains("contents"), "{shown}");
}

proptest! {
    #[test]
    fn joining_never_leaves_the_directory(relative in "[a-z./\\\\ ]{0,12}|\\PC{0,12}") {
        let home = path("/home/agent");
        if let Ok(joined) = home.join(&relative) {
            prop_assert!(joined.is_below(&home));
            prop_assert!(!joined.as_str().split('/').any(|segment| segment == ".."));
        }
    }
}
