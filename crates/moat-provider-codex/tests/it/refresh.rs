//! The next tokens of a login.

use std::time::Duration;

use moat_provider_codex::Codex;
use moat_provider_core::{
    Credential, ErrorKind, RefreshableProvider, Refreshed, Result, SecretName,
};
use moat_provider_testkit::{EchoVendor, FakeHttp, Ports, block_on, json};
use serde_json::json;

use crate::support::{
    END, Servers, granted, login, login_token, placeholder, refresh_token, run, time,
};

fn refresh(http: FakeHttp, credential: &Credential) -> Result<Refreshed> {
    let ports = Ports::new().with_http(http);
    block_on(Codex::new().refresh(&ports.host_context(), credential))
}

fn renewed(http: FakeHttp, credential: &Credential) -> Credential {
    match refresh(http, credential).unwrap() {
        Refreshed::Renewed(next) => next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_of_its_own_gets_its_next_tokens() {
    let (old, new) = (login_token(END), login_token("2026-12-10T12:00:00Z"));
    let refresh_token = refresh_token();
    let stored = login(&old.secret(), &refresh_token);
    let servers = Servers::knowing([]).issues(&new, &refresh_token);
    let next = renewed(FakeHttp::answered_by(servers), &stored);
    assert!(next.token().same_as(&new.secret()));
    assert_eq!(next.info().expires_at(), Some(time("2026-12-10T12:00:00Z")));
    // What the container holds stays what it is.
    let run = run(std::slice::from_ref(&stored), None);
    assert_eq!(placeholder(stored.info(), &run), placeholder(next.info(), &run));
}

#[test]
fn what_the_vendor_does_not_replace_stays() {
    let (old, new) = (login_token(END), login_token("2026-12-10T12:00:00Z"));
    let (first, second) = (refresh_token(), refresh_token());
    let stored = login(&old.secret(), &first);
    for (refresh, kept) in [(Some(second.text().to_owned()), &second), (None, &first)] {
        let access = new.text().to_owned();
        let http = FakeHttp::answered_by(move |_: &http::Request<bytes::Bytes>| {
            json(200, &json!({"access_token": access, "refresh_token": refresh}))
        });
        let next = renewed(http, &stored);
        let token = next.secrets().require(&SecretName::REFRESH_TOKEN).unwrap();
        assert!(token.same_as(&kept.secret()));
    }
}

#[test]
fn a_login_that_has_ended_is_told_apart_from_bad_weather() {
    let (token, refresh_token) = (login_token(END), refresh_token());
    let stored = login(&token.secret(), &refresh_token);
    let says = |status: u16, body: serde_json::Value| {
        FakeHttp::answered_by(move |_: &http::Request<bytes::Bytes>| json(status, &body))
    };
    for (http, kind) in [
        (says(401, json!({})), ErrorKind::TokenRevoked),
        (says(400, json!({"error": {"code": "refresh_token_reused"}})), ErrorKind::TokenRevoked),
        (says(400, json!({"error": "refresh_token_expired"})), ErrorKind::TokenRevoked),
        (says(403, json!({"code": "refresh_token_invalidated"})), ErrorKind::TokenRevoked),
        (says(400, json!({"error": "invalid_grant"})), ErrorKind::TokenRevoked),
        (says(400, json!({"error": "invalid_request"})), ErrorKind::UnexpectedAnswer),
        (says(200, json!({"id_token": "x"})), ErrorKind::UnexpectedAnswer),
        (FakeHttp::answered_by(EchoVendor::new(503)), ErrorKind::Unavailable),
        (FakeHttp::answered_by(EchoVendor::new(429)), ErrorKind::RateLimited),
        (FakeHttp::offline(), ErrorKind::Offline),
        (FakeHttp::timed_out(), ErrorKind::TimedOut),
    ] {
        let error = refresh(http, &stored).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        for canary in [&token, &refresh_token] {
            assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
        }
    }
}

#[test]
fn nothing_else_is_refreshed() {
    let codex = Codex::new();
    assert_eq!(codex.refresh_interval(), Duration::from_secs(8 * 24 * 3600));
    for (source, can) in [("device", true), ("import", false), ("env", false), ("prompt", false)] {
        let stored = granted(source);
        assert_eq!(codex.can_refresh(stored.info()), can, "{source}");
        if !can {
            let error = refresh(FakeHttp::forbidden(), &stored).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RefreshNotSupported, "{source}");
        }
    }
}
