//! The next access token.

use std::time::Duration;

use moat_provider_core::{
    Credential, CredentialProvider, ErrorKind, ProxyRules, RefreshableProvider, Refreshed, Result,
    Secret, SecretName,
};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::{
    Canary, EchoVendor, FakeClock, FakeFiles, FakeHttp, Ports, block_on, text,
};
use serde_json::{Value, json};

use crate::support::{
    Google, access_token, api_key, credential, granted, host_file, kind_name, login, refresh_token,
    run, table, time,
};

fn refresh(ports: &Ports, credential: &Credential) -> Result<Refreshed> {
    block_on(Gemini::new().refresh(&ports.host_context(), credential))
}

fn at_noon() -> Ports {
    Ports::new().with_clock(FakeClock::at(time("2026-11-20T12:00:00Z")))
}

#[test]
fn an_own_login_gets_its_next_token_from_google() {
    let [old, new] = [access_token(), access_token()];
    let (refresh_token, secret) = (refresh_token(), api_key());
    let stored = login(&old.secret(), &refresh_token, &secret);
    let google = || Google::knowing([&new]).issues(&new, &secret).refresh(&refresh_token);
    let ports = at_noon().with_vendor(google());
    let Refreshed::Renewed(next) = refresh(&ports, &stored).unwrap() else { panic!("renewed") };
    assert!(next.token().same_as(&new.secret()));
    assert_eq!(next.info().expires_at(), Some(time("2026-11-20T12:59:59Z")));
    let kept = next.secrets().require(&SecretName::REFRESH_TOKEN).unwrap();
    assert!(kept.same_as(&refresh_token.secret()));
    // What the container holds stays what it is.
    let run = run(std::slice::from_ref(&stored));
    let rules = |credential: &Credential| {
        let mut rules = ProxyRules::default();
        Gemini::new().configure_proxy(&mut rules, credential.info(), &run).unwrap();
        rules.credentials()[0].placeholders()[0].clone()
    };
    assert_eq!(rules(&stored), rules(&next));

    for lifetime in [json!(0), json!(-1), json!(1_u64 << 60), json!("3600"), Value::Null] {
        let ports = at_noon().with_vendor(google().lifetime(lifetime.clone()));
        let error = refresh(&ports, &stored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedAnswer, "{lifetime}");
    }
}

#[test]
fn a_login_that_has_ended_is_told_apart_from_bad_weather() {
    let (refresh_token, secret, other) = (refresh_token(), api_key(), api_key());
    let old = access_token();
    let stored = |secret: &Canary| login(&old.secret(), &refresh_token, secret);
    let google = || Google::knowing([]).issues(&old, &secret).refresh(&api_key());
    let page = |_: &http::Request<bytes::Bytes>| text(400, "<html>");
    for (http, credential, kind) in [
        (FakeHttp::answered_by(google()), stored(&secret), ErrorKind::TokenRevoked),
        (FakeHttp::answered_by(google()), stored(&other), ErrorKind::PermissionDenied),
        (FakeHttp::answered_by(EchoVendor::new(503)), stored(&secret), ErrorKind::Unavailable),
        (FakeHttp::answered_by(EchoVendor::new(429)), stored(&secret), ErrorKind::RateLimited),
        (FakeHttp::answered_by(page), stored(&secret), ErrorKind::UnexpectedAnswer),
        (FakeHttp::offline(), stored(&secret), ErrorKind::Offline),
        (FakeHttp::timed_out(), stored(&secret), ErrorKind::TimedOut),
    ] {
        let error = refresh(&at_noon().with_http(http), &credential).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.hint().is_some(), "{error}");
        for canary in [&old, &refresh_token, &secret, &other] {
            assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
        }
    }
}

#[test]
fn the_login_of_gemini_cli_is_followed_as_long_as_it_is_the_same_account() {
    for case in table(include_str!("../data/refreshes.json")) {
        let name = case["case"].as_str().unwrap();
        let [old, new, dead] = [access_token(), access_token(), access_token()];
        let fill = |text: String| {
            text.replace("{OLD}", old.text())
                .replace("{NEW}", new.text())
                .replace("{DEAD}", dead.text())
        };
        let file = host_file("oauth_creds.json");
        let files = match &case["file"] {
            Value::Null => FakeFiles::new(),
            Value::String(text) => FakeFiles::new().file(&file, Secret::new(text.clone())),
            login => FakeFiles::new().file(&file, Secret::new(fill(login.to_string()))),
        };
        let subject = if case["other"] == true { "42" } else { "1234567890" };
        let ports =
            at_noon().with_files(files).with_vendor(Google::knowing([&new]).subject(subject));
        let is = match refresh(&ports, &credential(&old.secret(), "import")) {
            Ok(Refreshed::Renewed(next)) => {
                assert!(next.token().same_as(&new.secret()), "{name}");
                assert_eq!(next.info().expires_at(), Some(time("2026-11-20T20:00:00Z")), "{name}");
                assert!(next.secrets().get(&SecretName::REFRESH_TOKEN).is_none(), "{name}");
                "renewed".to_owned()
            }
            Ok(_) => "unchanged".to_owned(),
            Err(error) => {
                let text = format!("{error} {error:?}");
                for canary in [&old, &new, &dead] {
                    assert_eq!(canary.find_in_str(&text), None, "{name}");
                }
                kind_name(error.kind())
            }
        };
        assert_eq!(Some(&*is), case["is"].as_str(), "{name}");
    }
}

#[test]
fn a_key_has_no_next_one() {
    let gemini = Gemini::new();
    assert_eq!(gemini.refresh_interval(), Duration::from_secs(2700));
    for (source, can) in [("env", false), ("prompt", false), ("import", true), ("login", false)] {
        // A login without its refresh token is none that can be refreshed.
        assert_eq!(gemini.can_refresh(granted(source).info()), can, "{source}");
    }
    let ports = Ports::bare().with_http(FakeHttp::forbidden());
    let error = refresh(&ports, &granted("prompt")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefreshNotSupported);
}
