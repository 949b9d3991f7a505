//! What each answer to the question whether a credential is valid means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use moat_provider_core::{ErrorKind, GrantError, Result};
use moat_provider_testkit::{FakeClock, FakeEnvironment, FakeHttp, Ports, text};

use crate::support::{KEY_PREFIX, OAUTH_PREFIX, grant, kind_name, table, time, token};

const WAYS: [(&str, &str, &str); 2] = [
    ("claude", "CLAUDE_CODE_OAUTH_TOKEN", OAUTH_PREFIX),
    ("anthropic", "ANTHROPIC_API_KEY", KEY_PREFIX),
];

fn ask((provider, variable, prefix): (&str, &str, &str), http: FakeHttp) -> Result<(), GrantError> {
    let canary = token(prefix);
    let ports = Ports::new()
        .with_clock(FakeClock::at(time("2026-11-20T12:00:00Z")))
        .with_environment(FakeEnvironment::new().secret(variable, canary.secret()))
        .with_http(http);
    let granted = grant(&ports, provider, None).map(drop);
    if let Err(error) = &granted {
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
    }
    granted
}

#[test]
fn each_status_has_its_meaning() {
    for case in table(include_str!("../data/status.json")) {
        let name = case["case"].as_str().unwrap();
        for way in WAYS {
            let case = case.clone();
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let answer = case.clone();
            let vendor = move |_: &Request<Bytes>| -> Response<Bytes> {
                let body = match &answer["body"] {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let mut response = text(status, body);
                for (name, value) in answer["headers"].as_object().into_iter().flatten() {
                    let name: HeaderName = name.parse().unwrap();
                    let value: HeaderValue = value.as_str().unwrap().parse().unwrap();
                    response.headers_mut().insert(name, value);
                }
                response
            };
            let of_way = case["is"].as_str().or(case[way.0].as_str()).unwrap();
            match ask(way, FakeHttp::answered_by(vendor)) {
                Ok(()) => assert_eq!(of_way, "accepted", "{name}, {}", way.0),
                Err(error) => {
                    assert_eq!(kind_name(error.kind()), of_way, "{name}, {}: {error}", way.0);
                    let wait = case["retry_after"].as_u64().map(Duration::from_secs);
                    assert_eq!(error.cause().retry_after(), wait, "{name}, {}", way.0);
                }
            }
        }
    }
}

#[test]
fn a_line_that_is_cut_is_not_the_credentials_fault() {
    for way in WAYS {
        for (http, kind) in [
            (FakeHttp::offline(), ErrorKind::Offline),
            (FakeHttp::timed_out(), ErrorKind::TimedOut),
            (FakeHttp::unexpected_answer(), ErrorKind::UnexpectedAnswer),
        ] {
            assert_eq!(ask(way, http).unwrap_err().kind(), kind);
        }
    }
}
