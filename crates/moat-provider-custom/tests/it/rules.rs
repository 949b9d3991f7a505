//! Where secrets go.

use http::{HeaderValue, Method};
use moat_provider_core::{
    Credential, CredentialProvider, ErrorKind, Fill, Position, ProxyRules, RunContext,
};
use moat_provider_custom::Custom;
use moat_provider_testkit::{Canary, golden};

use crate::support::{granted, run};

fn grants(commands: &[&str]) -> Vec<Credential> {
    commands.iter().map(|command| granted(command, &Canary::new().secret())).collect()
}

fn run_of(credentials: &[Credential], default: Option<&str>) -> RunContext {
    run(credentials.iter().map(Credential::info), default)
}

fn rules_of(credentials: &[Credential], run: &RunContext) -> ProxyRules {
    let mut rules = ProxyRules::default();
    for credential in credentials {
        Custom::new().configure_proxy(&mut rules, credential.info(), run).unwrap();
    }
    rules
}

fn rules(commands: &[&str], default: Option<&str>) -> ProxyRules {
    let credentials = grants(commands);
    rules_of(&credentials, &run_of(&credentials, default))
}

fn render(rules: &ProxyRules) -> String {
    let mut text = String::new();
    for rule in rules.credentials() {
        let fill = match rule.fills() {
            Fill::EmptyOrPlaceholder => "empty or placeholder",
            Fill::PlaceholderOnly => "placeholder",
        };
        assert_eq!(rule.placeholders().len(), 1);
        text.push_str(&format!(
            "{}  {}: {:?} <{}>  in place of {fill}\n",
            rule.target(),
            rule.header(),
            rule.template(),
            rule.secret(),
        ));
    }
    for rule in rules.substitutions() {
        let Position::QueryKey(key) = rule.position() else { panic!("{rule:?}") };
        text.push_str(&format!(
            "{}  ?{key}= <{}>  in place of placeholder\n",
            rule.target(),
            rule.secret()
        ));
    }
    text
}

#[test]
fn each_way_has_its_rules() {
    for (file, command) in [
        ("rules-bearer.txt", "custom:router --host https://openrouter.example.com/api/v1"),
        (
            "rules-header.txt",
            "custom:gitlab --host gitlab.example.com:8443,*.example.org --path /api/v4,/api/graphql \
             --header 'PRIVATE-TOKEN: {}'",
        ),
        (
            "rules-header-affix.txt",
            "custom:rails --host rails.example.com --header 'Authorization: Token token={}' \
             --env RAILS_TOKEN --only-placeholder",
        ),
        ("rules-basic.txt", "custom:registry --host registry.example.com --basic robot"),
        ("rules-query.txt", "custom:maps --host maps.example.com --query key --env MAPS_KEY"),
    ] {
        let rules = rules(&[command], None);
        rules.check_conflicts().unwrap();
        golden::check(format!("tests/golden/{file}"), &render(&rules));
    }
}

/// What a program sends, with the value of its variable, is what the rule answers to.
#[test]
fn programs_send_the_placeholder_in_their_own_words() {
    for (command, sent) in [
        ("--bearer", "Bearer PH"),
        ("--bearer", "bearer PH"),
        ("--header 'X-Api-Key: {}'", "PH"),
        ("--header 'Authorization: Token {}'", "token PH"),
        ("--header 'Authorization: Token token={}'", "Token token=PH"),
        ("--header 'X-Auth: key={}'", "key=PH"),
    ] {
        let credentials =
            grants(&[&format!("custom:x --host x.example.com {command} --env X_KEY")]);
        let run = run_of(&credentials, None);
        let env = Custom::new().container_env(&[credentials[0].info()], &run).unwrap();
        assert!(env[0].value().starts_with("moat_"), "{env:?}");
        let sent = HeaderValue::from_str(&sent.replace("PH", env[0].value())).unwrap();
        let rules = rules_of(&credentials, &run);
        assert!(rules.credentials()[0].placeholders()[0].is_carried_by(&sent), "{command}");
    }
}

#[test]
fn a_path_ends_at_a_segment() {
    let rules = rules(&["custom:x --host x.example.com/v1 --bearer"], None);
    let target = rules.credentials()[0].target();
    assert!(target.matches("x.example.com", 443, &Method::POST, "/v1/chat"));
    assert!(!target.matches("x.example.com", 443, &Method::POST, "/v1beta"));
    assert!(!target.matches("x.example.com", 8443, &Method::POST, "/v1"));
    assert!(!target.matches("evil.x.example.com", 443, &Method::POST, "/v1"));
}

fn fills(rules: &ProxyRules) -> Vec<Fill> {
    rules.credentials().iter().map(|rule| rule.fills()).collect()
}

#[test]
fn two_services_on_one_host_are_told_apart_by_their_placeholders() {
    use Fill::{EmptyOrPlaceholder, PlaceholderOnly};
    let one = "custom:one --host x.example.com --env ONE";
    let two = "custom:two --host x.example.com --env TWO";
    let silent = "custom:silent --host x.example.com";
    for (commands, default, fill) in [
        ([one, two], None, [PlaceholderOnly, PlaceholderOnly]),
        ([one, two], Some("custom:two"), [PlaceholderOnly, EmptyOrPlaceholder]),
        ([one, silent], None, [PlaceholderOnly, EmptyOrPlaceholder]),
        (
            [one, "custom:two --host x.example.com --header 'X-Api-Key: {}' --env TWO"],
            None,
            [EmptyOrPlaceholder, EmptyOrPlaceholder],
        ),
        (
            [one, "custom:two --host x.example.com/v1 --env TWO"],
            None,
            [EmptyOrPlaceholder, EmptyOrPlaceholder],
        ),
    ] {
        let rules = rules(&commands, default);
        rules.check_conflicts().unwrap();
        assert_eq!(fills(&rules), fill, "{commands:?}");
    }
}

#[test]
fn two_services_that_nobody_can_tell_apart_are_refused() {
    let silent = ["custom:one --host x.example.com", "custom:two --host x.example.com"];
    let error = rules(&silent, None).check_conflicts().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("custom:one"), "{error:?}");
    let default = ["custom:one --host x.example.com --env ONE", "custom:two --host x.example.com"];
    let error = rules(&default, Some("custom:one")).check_conflicts().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn the_persons_wish_not_to_fill_is_kept_by_default_grants_too() {
    let only = "custom:x --host *.example.com --env X_KEY --only-placeholder";
    assert_eq!(fills(&rules(&[only], Some("custom:x"))), [Fill::PlaceholderOnly]);
}
