//! What the tools of AWS find in the container.

use moat_provider_aws::Aws;
use moat_provider_core::{Credential, CredentialInfo, CredentialProvider};
use moat_provider_testkit::golden::{self, Picture};
use moat_provider_testkit::{Canary, run_context};
use proptest::prelude::*;

use crate::support::{granted, key, run};

const CONFIG: &str = include_str!("../data/config.ini");

/// Shows a container, with names instead of what is drawn for the run.
fn picture(credentials: &[Credential], config: Option<&str>) -> String {
    let infos: Vec<&CredentialInfo> = credentials.iter().map(Credential::info).collect();
    let run = run(infos.iter().copied(), config);
    let env = Aws::new().container_env(&infos, &run).unwrap();
    let mounts = Aws::new().container_mounts(&infos, &run).unwrap();
    let mut text = Picture::new().env(&env).mounts(&mounts).to_string();
    for credential in credentials {
        let alone = granted_env(credential, &run);
        for (name, value) in alone {
            text = text.replace(&value, &format!("<{name}:{}>", credential.key()));
        }
    }
    for file in mounts.files.iter().filter(|file| file.path().as_str().ends_with(".token")) {
        let token = std::str::from_utf8(file.contents()).unwrap();
        text = text.replace(token, "<token>");
    }
    text
}

/// The dummy keys that a grant has in a run.
fn granted_env(
    credential: &Credential,
    run: &moat_provider_core::RunContext,
) -> Vec<(&'static str, String)> {
    let env = Aws::new().container_env(&[credential.info()], run).unwrap();
    let value = |name: &'static str, shown: &'static str| {
        let found = env.iter().find(|var| var.name() == name)?;
        Some((shown, found.value().to_owned()))
    };
    [value("AWS_ACCESS_KEY_ID", "id"), value("AWS_SECRET_ACCESS_KEY", "secret")]
        .into_iter()
        .flatten()
        .collect()
}

fn role(name: &str, options: &[(&str, &str)]) -> Credential {
    granted(name, &Canary::new().secret(), options)
}

#[test]
fn one_role() {
    golden::check("tests/golden/staging-one.txt", &picture(&[role("aws", &[])], None));
}

#[test]
fn several_roles_and_a_configuration() {
    let roles = [role("aws:dev", &[("region", "eu-west-1")]), role("aws:prod", &[])];
    golden::check("tests/golden/staging-two.txt", &picture(&roles, Some(CONFIG)));
}

#[test]
fn a_role_whose_keys_are_fetched() {
    let roles = [role("aws", &[("mode", "endpoint")])];
    golden::check("tests/golden/staging-endpoint.txt", &picture(&roles, None));
}

#[test]
fn the_default_is_the_persons_choice() {
    let roles = [role("aws:dev", &[("region", "eu-west-1")]), role("aws:prod", &[])];
    let infos: Vec<&CredentialInfo> = roles.iter().map(Credential::info).collect();
    let mut run = run_context("golden");
    for info in &infos {
        run = run.grant((*info).clone());
    }
    let run = run.default_grant(key("aws:prod")).build();
    let mounts = Aws::new().container_mounts(&infos, &run).unwrap();
    let config = String::from_utf8(mounts.files[0].contents().to_vec()).unwrap();
    assert!(config.starts_with("[default]\nregion = us-east-1\n"), "{config}");
}

proptest! {
    /// Whatever stands in the person's file, only settings of the list reach the container.
    #[test]
    fn no_other_setting_survives(
        lines in prop::collection::vec(
            (
                prop_oneof![
                    Just("output"), Just("s3"), Just("  addressing_style"), Just("credential_process"),
                    Just("aws_secret_access_key"), Just("endpoint_url"), Just("[default]"), Just("role_arn"),
                ],
                prop_oneof!["\\PC{0,20}", Just("json".to_owned()), Just("path".to_owned()), Just(String::new())],
            ),
            0..12,
        ),
    ) {
        let config: String = lines.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let config = format!("[default]\n{config}");
        let roles = [role("aws", &[])];
        let infos = [roles[0].info()];
        let run = run(infos, Some(&config));
        let mounts = Aws::new().container_mounts(&infos, &run).unwrap();
        for line in std::str::from_utf8(mounts.files[0].contents()).unwrap().lines() {
            let known = ["[default]", "region = us-east-1", "output = json", "s3 =", "  addressing_style = path"];
            let word = ["output = text", "output = table", "output = yaml"];
            prop_assert!(known.contains(&line) || word.contains(&line), "{}", line);
        }
    }
}
