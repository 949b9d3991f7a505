//! Which host serves the account, and what an answer means.

use moat_provider_copilot::Copilot;
use moat_provider_core::{Error, ErrorKind, HeaderTemplate, Result};
use moat_provider_testkit::{FakeHttp, Ports, golden, text};
use serde_json::json;

use crate::support::{Container, credential, prepare, token};

fn ask(grant: &str, status: u16, body: &str) -> Result<Container> {
    let canary = token();
    let body = body.to_owned();
    let bearer = HeaderTemplate::Bearer.render(&canary.secret()).unwrap();
    let vendor = move |request: &http::Request<bytes::Bytes>| {
        let known = request.headers()["authorization"] == bearer;
        assert!(known && request.uri().path() == "/copilot_internal/user", "{request:?}");
        text(status, body.clone())
    };
    let ports = Ports::bare().with_http(FakeHttp::answered_by(vendor));
    let prepared = prepare(&Copilot::new(), &ports, vec![credential(grant, &canary)], |_| {});
    let shown = match &prepared {
        Ok(container) => format!("{:?} {}", container.config, container.picture()),
        Err(error) => format!("{error} {error:?} {:?}", error.hint()),
    };
    assert_eq!(canary.find_in_str(&shown), None, "{shown}");
    prepared
}

fn refused(grant: &str, status: u16, body: &str) -> Error {
    let error = ask(grant, status, body).err().unwrap();
    assert!(error.hint().is_some(), "{error}");
    error
}

fn names(api: &str) -> String {
    json!({"endpoints": {"api": api, "telemetry": "https://telemetry.example.com"}}).to_string()
}

#[test]
fn the_rules_are_for_the_host_that_github_names() {
    let container = ask("github", 200, &names("https://api.individual.githubcopilot.com")).unwrap();
    golden::check("tests/golden/rules-individual.txt", &container.rules());
    container.config.rules.check_conflicts().unwrap();
    let tenant = ask("github:octo.ghe.com", 200, &names("https://copilot-api.octo.ghe.com"));
    golden::check("tests/golden/rules-tenant.txt", &tenant.unwrap().rules());
}

#[test]
fn a_host_that_is_not_githubs_gets_nothing() {
    for api in [
        "https://api.example.com",
        "https://githubcopilot.com",
        "https://.githubcopilot.com",
        "https://apigithubcopilot.com",
        "https://api.githubcopilot.com.example.com",
        "https://api.githubcopilot.com@example.com",
        "https://api.githubcopilot.com:8443",
        "http://api.githubcopilot.com",
        "https://api.githubcopilot.com/proxy?to=x",
        "https://copilot-api.octo.ghe.com",
        "api",
    ] {
        assert_eq!(
            refused("github", 200, &names(api)).kind(),
            ErrorKind::UnexpectedAnswer,
            "{api}"
        );
    }
    let other = names("https://copilot-api.other.ghe.com");
    assert_eq!(refused("github:octo.ghe.com", 200, &other).kind(), ErrorKind::UnexpectedAnswer);
}

#[test]
fn each_refusal_says_what_to_do() {
    for (status, kind, hint) in [
        (401, ErrorKind::Unauthenticated, "moat grant github"),
        (403, ErrorKind::PermissionDenied, "Copilot Requests"),
        (404, ErrorKind::PermissionDenied, "settings/copilot"),
        (302, ErrorKind::UnexpectedAnswer, "on the way"),
    ] {
        let error = refused("github", status, "no JSON");
        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
    let server = refused("github:ghe.example.com", 200, "{}");
    assert_eq!(server.kind(), ErrorKind::Unsupported);
}

/// A run does not fail because GitHub has a bad minute.
#[test]
fn where_github_cannot_be_asked_all_of_its_hosts_are_meant() {
    let expected = ask("github", 200, "{}").unwrap().rules();
    assert!(expected.contains("api.enterprise.githubcopilot.com"), "{expected}");
    for status in [429, 500, 503] {
        assert_eq!(ask("github", status, "").unwrap().rules(), expected, "{status}");
    }
    for http in [FakeHttp::offline(), FakeHttp::timed_out()] {
        let ports = Ports::bare().with_http(http);
        let credentials = vec![credential("github", &token())];
        let container = prepare(&Copilot::new(), &ports, credentials, |_| {}).unwrap();
        assert_eq!(container.rules(), expected);
    }
}
