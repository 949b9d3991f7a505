//! What each status of GitHub means for the person.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use moat_provider_core::{ErrorKind, GrantError};
use moat_provider_testkit::{EchoVendor, FakeEnvironment, FakeHttp, Ports, empty};
use serde_json::Value;

use crate::support::{clock, grant, kind_name, table, token};

/// Answers with the case, and with the request's own token in the body where the case has none.
fn answer(case: &Value, request: &Request<Bytes>) -> Response<Bytes> {
    let mut response = empty(case["status"].as_u64().unwrap().try_into().unwrap());
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        response.headers_mut().insert(name, value);
    }
    *response.body_mut() = match case["body"].as_str() {
        Some(body) => Bytes::from(body.to_owned()),
        None => Bytes::copy_from_slice(request.headers()["authorization"].as_bytes()),
    };
    response
}

fn refusal(http: FakeHttp) -> (GrantError, Option<u64>) {
    let canary = token("ghp_");
    let ports = Ports::new()
        .with_clock(clock("2026-11-20T12:00:00Z"))
        .with_environment(FakeEnvironment::new().secret("GH_TOKEN", canary.secret()))
        .with_http(http);
    let error = grant(&ports, "github", None).unwrap_err();
    let texts = format!("{error} {error:?} {}", ports.terminal().shown());
    assert_eq!(canary.find_in_str(&texts), None, "{texts}");
    let wait = error.cause().retry_after().map(|wait| wait.as_secs());
    (error, wait)
}

#[test]
fn each_status_has_its_kind_and_its_hint() {
    for case in table(include_str!("../data/status.json")) {
        let name = case["case"].as_str().unwrap().to_owned();
        let given = case.clone();
        let http = FakeHttp::answered_by(move |request: &Request<Bytes>| answer(&given, request));
        let (error, wait) = refusal(http);
        let hint = error.hint().unwrap_or_default();
        assert_eq!(Some(&*kind_name(error.kind())), case["kind"].as_str(), "{name}: {error}");
        assert_eq!(wait, case["retry_after"].as_u64(), "{name}");
        let message = case["message"].as_str().unwrap();
        assert!(error.cause().message().contains(message), "{name}: {error}");
        assert!(hint.contains(case["hint"].as_str().unwrap()), "{name}: {hint}");
    }
}

#[test]
fn no_answer_at_all_says_why() {
    for (http, kind, message) in [
        (FakeHttp::offline(), ErrorKind::Offline, "api.github.com was not reached"),
        (
            FakeHttp::timed_out(),
            ErrorKind::TimedOut,
            "api.github.com did not answer within 10 seconds",
        ),
        (
            FakeHttp::unexpected_answer(),
            ErrorKind::UnexpectedAnswer,
            "what came from api.github.com is no answer of GitHub",
        ),
    ] {
        let (error, _) = refusal(http);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.cause().message(), message);
        assert!(error.hint().is_some());
    }
}

#[test]
fn what_github_echoes_is_not_shown() {
    for status in [200, 400, 401, 403, 404, 422, 429, 500] {
        refusal(FakeHttp::answered_by(EchoVendor::new(status)));
        refusal(FakeHttp::answered_by(EchoVendor::new(status).in_text()));
    }
}
