//! Trying a secret before it is stored.

use bytes::Bytes;
use http::{HeaderName, Request};
use moat_provider_core::{ErrorKind, Timeout};
use moat_provider_testkit::{Canary, FakeHttp, FakeTerminal, Ports, text};

use crate::support::{grant, table};

const COMMAND: &str = "custom:x --host *.example.org,api.example.com:8443/v1 \
                       --header 'X-Api-Key: {}' --test-path /v1/me";

fn person(canary: &Canary) -> FakeTerminal {
    FakeTerminal::new().expect_secret("Secret of x", canary.secret())
}

#[test]
fn each_answer_has_its_meaning() {
    for case in table(include_str!("../data/status.json")) {
        let name = case["case"].as_str().unwrap();
        let canary = Canary::new();
        let mut answer = text(
            u16::try_from(case["status"].as_u64().unwrap()).unwrap(),
            format!("you sent {}", canary.text()),
        );
        for (header, value) in case["headers"].as_object().into_iter().flatten() {
            let header: HeaderName = header.parse().unwrap();
            answer.headers_mut().insert(header, value.as_str().unwrap().parse().unwrap());
        }
        let vendor = move |_: &Request<Bytes>| answer.clone();
        let ports = Ports::new().with_terminal(person(&canary)).with_vendor(vendor);
        match (grant(&ports, COMMAND), case["kind"].as_str()) {
            (Ok(_), None) => {}
            (Err(error), Some(kind)) => {
                assert_eq!(format!("{:?}", error.kind()), kind, "{name}");
                let (message, hint) = (error.cause().message(), error.hint().unwrap());
                assert!(message.contains(case["message"].as_str().unwrap()), "{name}: {message}");
                assert!(hint.contains(case["hint"].as_str().unwrap()), "{name}: {hint}");
                let wait = error.cause().retry_after().map(|wait| wait.as_secs());
                assert_eq!(wait, case["retry_after"].as_u64(), "{name}");
                assert_eq!(canary.find_in_str(&format!("{error:?}")), None, "{name}");
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        }
    }
}

#[test]
fn the_secret_is_sent_once_as_it_will_be() {
    let canary = Canary::new();
    let ports = Ports::new()
        .with_terminal(person(&canary))
        .with_vendor(|_: &Request<Bytes>| text(200, "yes"));
    grant(&ports, COMMAND).unwrap();
    let [request] = &ports.requests()[..] else { panic!("one request") };
    assert_eq!(request.uri(), "https://api.example.com:8443/v1/me");
    assert_eq!(request.headers()["x-api-key"], canary.text());
    assert!(request.headers()["x-api-key"].is_sensitive());
    assert_eq!(request.headers()["user-agent"], "moat");
    assert_eq!(request.extensions().get::<Timeout>().unwrap().0.as_secs(), 10);
}

#[test]
fn without_a_test_path_nobody_is_asked() {
    let canary = Canary::new();
    let ports = Ports::new().with_terminal(person(&canary)).with_http(FakeHttp::forbidden());
    assert!(grant(&ports, "custom:x --host x.example.com").is_ok());
}

/// The person is not asked for a secret that could not be tried.
#[test]
fn a_path_is_one_that_gets_the_secret() {
    for (command, message) in [
        ("--host x.example.com/v1 --test-path /v2/me", "is at no single host of x.example.com/v1"),
        ("--host *.example.com --test-path /me", "is at no single host of *.example.com"),
        ("--host x.example.com --test-path me", "is no plain path"),
        ("--host x.example.com --test-path '/me?a=b'", "is no plain path"),
        ("--host x.example.com --test-path /../me", "is no plain path"),
        ("--host x.example.com --query k --env K --test-path /me", "in the query is not tried"),
    ] {
        let error = grant(&Ports::new(), &format!("custom:x {command}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(message), "{command}: {error}");
    }
}

#[test]
fn a_service_that_is_not_reached_may_be_granted_untried() {
    for (http, kind) in [
        (FakeHttp::offline(), ErrorKind::Offline),
        (FakeHttp::timed_out(), ErrorKind::TimedOut),
        (FakeHttp::unexpected_answer(), ErrorKind::UnexpectedAnswer),
    ] {
        let canary = Canary::new();
        let ports = Ports::new().with_terminal(person(&canary)).with_http(http);
        let error = grant(&ports, COMMAND).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("api.example.com:8443"), "{error}");
        assert!(error.hint().is_some());
    }
}
