//! What each answer to the question whether a credential is valid means.

use moat_provider_core::{ErrorKind, GrantError};
use moat_provider_testkit::{Canary, FakeEnvironment, FakeHttp, Ports, text};
use serde_json::json;

use crate::support::{ACCOUNT, access_token, api_key, grant};

fn ask(name: &str, variable: &str, canary: &Canary, http: FakeHttp) -> Result<(), GrantError> {
    let ports = Ports::new()
        .with_environment(FakeEnvironment::new().secret(variable, canary.secret()))
        .with_http(http);
    let granted = grant(&ports, name, &[]).map(drop);
    if let Err(error) = &granted {
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
    }
    granted
}

#[test]
fn each_status_of_a_key_has_its_meaning() {
    let models = json!({"data": []}).to_string();
    let error = |error: serde_json::Value| json!({ "error": error }).to_string();
    let no_scope = error(json!({"message": "Missing scopes: api.model.read"}));
    let no_scope_by_code = error(json!({"code": "missing_scope"}));
    let no_money = error(json!({"type": "insufficient_quota"}));
    let too_fast = error(json!({"code": "rate_limit_exceeded"}));
    for (status, body, kind) in [
        (200, &*models, None),
        (200, "{}", Some(ErrorKind::UnexpectedAnswer)),
        (200, "<html>", Some(ErrorKind::UnexpectedAnswer)),
        (302, "", Some(ErrorKind::UnexpectedAnswer)),
        (401, "{}", Some(ErrorKind::Unauthenticated)),
        // A key that may not list models is a key, and so is one that is over its limit.
        (403, &no_scope, None),
        (403, &no_scope_by_code, None),
        (403, "{}", Some(ErrorKind::PermissionDenied)),
        (429, &no_money, None),
        (429, &too_fast, None),
        (429, "slow down", Some(ErrorKind::RateLimited)),
        (404, "{}", Some(ErrorKind::UnexpectedAnswer)),
        (503, "{}", Some(ErrorKind::Unavailable)),
    ] {
        let answer = body.to_owned();
        let vendor = move |_: &http::Request<bytes::Bytes>| text(status, answer.clone());
        let http = FakeHttp::answered_by(vendor);
        let asked = ask("openai", "OPENAI_API_KEY", &api_key(), http);
        assert_eq!(asked.err().map(|error| error.kind()), kind, "{status} {body}");
    }
    unreachable("openai", "OPENAI_API_KEY", &api_key());
}

#[test]
fn each_status_of_an_account_has_its_meaning() {
    let who = json!({"chatgpt_account_id": ACCOUNT}).to_string();
    let odd = json!({"chatgpt_account_id": "a\r\nx: y"}).to_string();
    let accounts = json!({"accounts": []}).to_string();
    for (of_login, of_account, kind) in [
        ((200, &*who), (200, &*accounts), None),
        ((200, &who), (200, "{}"), Some(ErrorKind::UnexpectedAnswer)),
        ((200, &who), (401, "{}"), Some(ErrorKind::Unauthenticated)),
        ((200, &who), (403, "{}"), Some(ErrorKind::PermissionDenied)),
        ((200, &who), (500, "{}"), Some(ErrorKind::Unavailable)),
        ((200, "{}"), (200, &accounts), Some(ErrorKind::UnexpectedAnswer)),
        ((200, &odd), (200, &accounts), Some(ErrorKind::UnexpectedAnswer)),
        ((401, "{}"), (200, &accounts), Some(ErrorKind::Unauthenticated)),
        ((403, "{}"), (200, &accounts), Some(ErrorKind::PermissionDenied)),
        ((429, "{}"), (200, &accounts), Some(ErrorKind::RateLimited)),
    ] {
        let [login, account] =
            [of_login, of_account].map(|(status, body)| (status, body.to_owned()));
        let vendor = move |request: &http::Request<bytes::Bytes>| {
            let (status, body) = match request.uri().path().starts_with("/backend-api/") {
                true => &account,
                false => &login,
            };
            text(*status, body.clone())
        };
        let http = FakeHttp::answered_by(vendor);
        let asked = ask("codex", "CODEX_ACCESS_TOKEN", &access_token(), http);
        let found = asked.err().map(|error| error.kind());
        assert_eq!(found, kind, "{of_login:?} {of_account:?}");
    }
    unreachable("codex", "CODEX_ACCESS_TOKEN", &access_token());
}

fn unreachable(grant: &str, variable: &str, canary: &Canary) {
    for (http, kind) in [
        (FakeHttp::offline(), ErrorKind::Offline),
        (FakeHttp::timed_out(), ErrorKind::TimedOut),
        (FakeHttp::unexpected_answer(), ErrorKind::UnexpectedAnswer),
    ] {
        assert_eq!(ask(grant, variable, canary, http).unwrap_err().kind(), kind);
    }
}
