//! What each answer to the question whether a key is valid means.

use moat_provider_core::{ErrorKind, GrantError};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::{FakeEnvironment, FakeHttp, Ports, text};
use serde_json::json;

use crate::support::{api_key, grant};

fn ask(http: FakeHttp) -> Result<(), GrantError> {
    let canary = api_key();
    let ports = Ports::new()
        .with_environment(FakeEnvironment::new().secret("GEMINI_API_KEY", canary.secret()))
        .with_http(http);
    let granted = grant(&Gemini::new(), &ports, None).map(drop);
    if let Err(error) = &granted {
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
    }
    granted
}

#[test]
fn each_status_has_its_meaning() {
    let models = json!({"models": []}).to_string();
    let exhausted = json!({"error": {"status": "RESOURCE_EXHAUSTED"}}).to_string();
    for (status, body, kind) in [
        (200, &*models, None),
        (200, "{}", Some(ErrorKind::UnexpectedAnswer)),
        (200, "<html>", Some(ErrorKind::UnexpectedAnswer)),
        (302, "", Some(ErrorKind::UnexpectedAnswer)),
        (400, "{}", Some(ErrorKind::Unauthenticated)),
        (401, "{}", Some(ErrorKind::Unauthenticated)),
        (403, "{}", Some(ErrorKind::PermissionDenied)),
        (404, "{}", Some(ErrorKind::UnexpectedAnswer)),
        (429, &*exhausted, None),
        (429, "slow down", Some(ErrorKind::RateLimited)),
        (503, "{}", Some(ErrorKind::Unavailable)),
    ] {
        let answer = body.to_owned();
        let vendor = move |_: &http::Request<bytes::Bytes>| text(status, answer.clone());
        let asked = ask(FakeHttp::answered_by(vendor));
        assert_eq!(asked.err().map(|error| error.kind()), kind, "{status} {body}");
    }
    for (http, kind) in [
        (FakeHttp::offline(), ErrorKind::Offline),
        (FakeHttp::timed_out(), ErrorKind::TimedOut),
        (FakeHttp::unexpected_answer(), ErrorKind::UnexpectedAnswer),
    ] {
        assert_eq!(ask(http).unwrap_err().kind(), kind);
    }
}
