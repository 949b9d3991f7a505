//! How credentials are ended.

use moat_provider_core::{ErrorKind, RevocableProvider, Revocation};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::{EchoVendor, FakeHttp, Ports, block_on};

use crate::support::{Google, access_token, api_key, granted, login, refresh_token};

#[test]
fn what_is_not_its_own_is_ended_by_hand() {
    let gemini = Gemini::new();
    for (source, part) in [
        ("env", "every program that takes it from GEMINI_API_KEY"),
        ("prompt", "delete the key at https://aistudio.google.com/apikey"),
        ("import", "the login is Gemini CLI's"),
        ("login", "https://myaccount.google.com/connections"),
    ] {
        let stored = granted(source);
        let Revocation::Manual { instructions } = gemini.revocation(stored.info()) else {
            panic!("{source} is ended by hand")
        };
        assert!(instructions.contains(part), "{instructions}");
        let ports = Ports::bare().with_http(FakeHttp::forbidden());
        let error = block_on(gemini.revoke(&ports.host_context(), &stored)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{source}");
        assert_eq!(error.hint(), Some(&*instructions));
    }
}

#[test]
fn an_own_login_is_ended_at_google() {
    let gemini = Gemini::new();
    let (refresh, gone, secret) = (refresh_token(), refresh_token(), api_key());
    let revoke = |token, http| {
        let stored = login(&access_token().secret(), token, &secret);
        assert!(matches!(gemini.revocation(stored.info()), Revocation::Automatic { .. }));
        let ports = Ports::new().with_http(http);
        block_on(gemini.revoke(&ports.host_context(), &stored))
    };
    let google = || FakeHttp::answered_by(Google::knowing([&refresh]));
    revoke(&refresh, google()).unwrap();
    // It has ended already.
    revoke(&gone, google()).unwrap();
    let error = revoke(&refresh, FakeHttp::answered_by(EchoVendor::new(503))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
