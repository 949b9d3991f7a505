//! What programs find in the container.

use moat_provider_core::{Credential, CredentialProvider, ErrorKind, ProxyRules};
use moat_provider_custom::Custom;
use moat_provider_testkit::Canary;
use moat_provider_testkit::golden::{self, Picture};

use crate::support::{granted, run};

/// Shows what is staged, with names in the place of placeholders.
fn staged(commands: &[&str]) -> moat_provider_core::Result<String> {
    let custom = Custom::new();
    let credentials: Vec<_> =
        commands.iter().map(|command| granted(command, &Canary::new().secret())).collect();
    let infos: Vec<_> = credentials.iter().map(Credential::info).collect();
    let run = run(infos.iter().copied(), None);
    let mut picture = Picture::new()
        .env(&custom.container_env(&infos, &run)?)
        .mounts(&custom.container_mounts(&infos, &run)?);
    for info in infos {
        let mut rules = ProxyRules::default();
        custom.configure_proxy(&mut rules, info, &run)?;
        let credentials = rules.credentials().iter().flat_map(|rule| rule.placeholders());
        let substitutions = rules.substitutions().iter().map(|rule| rule.placeholder());
        for placeholder in credentials.chain(substitutions) {
            picture = picture.placeholder(&info.key().to_string(), placeholder);
        }
    }
    Ok(picture.to_string())
}

#[test]
fn each_way_has_its_staging() {
    for (file, commands) in [
        (
            "staging-bearer.txt",
            &["custom:router --host openrouter.example.com --env OPENROUTER_API_KEY"][..],
        ),
        (
            "staging-header.txt",
            &["custom:gitlab --host gitlab.example.com --header 'PRIVATE-TOKEN: {}' --env \
               GITLAB_TOKEN --placeholder-prefix glpat-"],
        ),
        ("staging-basic.txt", &["custom:registry --host r.example.com --basic me --env REG_PASS"]),
        ("staging-query.txt", &["custom:maps --host m.example.com --query key --env MAPS_KEY"]),
        ("staging-nothing.txt", &["custom:silent --host s.example.com"]),
        (
            "staging-two.txt",
            &[
                "custom:one --host x.example.com --env ONE,ONE_KEY",
                "custom:two --host x.example.com --env TWO",
            ],
        ),
    ] {
        golden::check(format!("tests/golden/{file}"), &staged(commands).unwrap());
    }
}

#[test]
fn two_services_never_share_a_variable() {
    let error = staged(&[
        "custom:one --host one.example.com --env API_KEY",
        "custom:two --host two.example.com --env API_KEY",
    ])
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.message(),
        "custom:one and custom:two both put their placeholder into API_KEY"
    );
}
