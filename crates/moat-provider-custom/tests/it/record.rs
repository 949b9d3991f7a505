//! What is kept of a grant, and what becomes of a record that lacks it.

use moat_provider_core::{
    Credential, CredentialProvider, ErrorKind, ProxyRules, RevocableProvider, Revocation, Secret,
};
use moat_provider_custom::Custom;
use moat_provider_testkit::{Canary, FakeTerminal, Ports, block_on};
use proptest::prelude::*;

use crate::support::{grant, granted, run};

fn metadata(credential: &Credential) -> Vec<(String, String)> {
    let all = credential.info().all_metadata().iter();
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn the_metadata_says_where_the_secret_goes() {
    let canary = Canary::new();
    let command = "custom:gitlab --host https://GitLab.example.com:8443/,b.example.com --path /api/v4 \
                   --header 'PRIVATE-TOKEN: {}' --env GITLAB_TOKEN --placeholder-prefix glpat- \
                   --only-placeholder";
    let credential = granted(command, &canary.secret());
    let entries = [
        ("env", "GITLAB_TOKEN"),
        ("header", "private-token: {}"),
        ("host", "gitlab.example.com:8443/api/v4,b.example.com/api/v4"),
        ("only_placeholder", "yes"),
        ("placeholder_prefix", "glpat-"),
        ("token_source", "prompt"),
    ];
    let entries = entries.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(metadata(&credential), entries);
    assert!(credential.token().same_as(&canary.secret()));
}

#[test]
fn a_record_that_lacks_something_is_granted_anew() {
    let canary = Canary::new();
    let whole = granted("custom:x --host x.example.com", &canary.secret());
    for damaged in [
        whole.renew().without_metadata("host").build(),
        whole.renew().metadata("host", "192.0.2.1").build(),
        whole.renew().metadata("basic", "me").build(),
        whole.renew().metadata("only_placeholder", "yes").build(),
        whole.renew().metadata("env", "LD_PRELOAD").build(),
    ] {
        let custom = Custom::new();
        let info = damaged.info();
        let run = run([info], None);
        let mut rules = ProxyRules::default();
        let error = custom.configure_proxy(&mut rules, info, &run).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.hint(), Some("moat grant custom:x --host HOST"));
        assert!(custom.container_env(&[info], &run).is_err());
        assert_eq!(rules.targets().count(), 0);
        // Ending the secret is possible all the same.
        let Revocation::Manual { instructions } = custom.revocation(info) else { panic!() };
        assert!(instructions.contains("where it was made"), "{instructions}");
    }
}

#[test]
fn revocation_names_whom_to_ask() {
    let credential = granted("custom:x --host x.example.com/v1", &Canary::new().secret());
    let custom = Custom::new();
    let cx = Ports::new().host_context();
    let error = block_on(custom.revoke(&cx, &credential)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let wanted = "end the secret where it was made, in the settings of whoever runs x.example.com: \
                  what moat keeps is a copy";
    assert_eq!(error.hint(), Some(wanted));
}

fn way() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" --bearer".to_owned()),
        Just(" --basic=-x".to_owned()),
        "[A-Za-z]{1,8}: ?([A-Za-z]{1,8} )?([a-z]{1,4}=)?"
            .prop_map(|text| format!(" --header 'x-{text}{{}}'")),
        "[a-z*$ ]{0,6}[a-z]".prop_map(|user| format!(" --basic='{user}'")),
        "[a-z$_.-]{1,8}".prop_map(|key| format!(" --query='{key}' --env OTHER_KEY")),
    ]
}

proptest! {
    /// The command of a hint grants what was asked for: nothing is lost on the way, and nothing
    /// that the person wrote gets out of its quotes.
    #[test]
    fn the_command_of_a_hint_asks_for_the_same(
        hosts in prop::collection::vec(
            ("([*]\\.)?[a-z]{1,5}\\.example\\.[a-z]{3}", "(:[1-9][0-9]{0,3})?", "(/[a-z@~!']{1,5}){0,2}"),
            1..4,
        ),
        way in way(),
        prefix in prop_oneof![Just(""), Just(" --placeholder-prefix sk-")],
    ) {
        let hosts: Vec<_> = hosts
            .into_iter()
            .map(|(host, port, path)| format!("{host}{port}{}", path.replace('\'', "-")))
            .collect();
        let command = format!("custom:x --host '{}'{way}{prefix}", hosts.join(","));
        let nothing = FakeTerminal::new().expect_secret("Secret of x", Secret::new(String::new()));
        let ports = Ports::new().with_terminal(nothing);
        let hint = grant(&ports, &command).unwrap_err().hint().unwrap().to_owned();
        let canary = Canary::new();
        let again = granted(hint.strip_prefix("moat grant ").unwrap(), &canary.secret());
        let first = granted(&command, &canary.secret());
        prop_assert_eq!(metadata(&first), metadata(&again), "{}", hint);
    }

    /// No text that a person may write breaks the reader, and no error is without a hint.
    #[test]
    fn every_refusal_says_what_to_do(
        host in "\\PC{0,20}",
        option in prop_oneof![
            Just("path"), Just("header"), Just("basic"), Just("query"), Just("env"),
            Just("placeholder-prefix"), Just("test-path"), Just("from-env"),
        ],
        value in "[ -~\n\u{1b}é]{1,20}",
    ) {
        let custom = Custom::new();
        for host in [host.as_str(), "x.example.com"].into_iter().filter(|host| !host.is_empty()) {
            let request = moat_provider_core::GrantRequest::with_options(
                "custom:x".parse().unwrap(),
                custom.grant_options(),
                [("host", host), (option, value.as_str())],
            );
            let ports = Ports::bare();
            let error = block_on(custom.grant(&ports.grant_context(), &request.unwrap()));
            let error = error.unwrap_err();
            prop_assert!(error.hint().is_some_and(|hint| !hint.trim().is_empty()), "{error:?}");
            let message = error.cause().message();
            prop_assert!(!message.contains(char::is_control), "{error:?}");
        }
    }
}
