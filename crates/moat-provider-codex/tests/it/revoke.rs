//! How credentials are ended.

use moat_provider_codex::{Codex, OpenAi};
use moat_provider_core::{ErrorKind, RevocableProvider, Revocation};
use moat_provider_testkit::{EchoVendor, FakeHttp, Ports, block_on};

use crate::support::{END, Servers, credential, granted, login, login_token, refresh_token};

#[test]
fn what_is_not_its_own_is_ended_by_hand() {
    let (codex, openai) = (Codex::new(), OpenAi::new());
    for (grant, source, part) in [
        ("codex", "import", "codex logout"),
        ("codex", "prompt", "revoke the access token in ChatGPT's settings"),
        ("codex", "env", "every program that takes it from CODEX_ACCESS_TOKEN"),
        ("openai", "prompt", "delete the key at https://platform.openai.com/api-keys"),
        ("openai", "env", "every program that takes it from OPENAI_API_KEY"),
    ] {
        let provider: &dyn RevocableProvider = match grant {
            "codex" => &codex,
            _ => &openai,
        };
        let stored = credential(grant, granted(source).token(), source);
        let Revocation::Manual { instructions } = provider.revocation(stored.info()) else {
            panic!("{grant} of {source} is ended by hand")
        };
        assert!(instructions.contains(part), "{instructions}");
        let ports = Ports::bare().with_http(FakeHttp::forbidden());
        let error = block_on(provider.revoke(&ports.host_context(), &stored)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{source}");
        assert_eq!(error.hint(), Some(&*instructions));
    }
}

#[test]
fn a_login_of_its_own_is_ended_at_the_vendor() {
    let codex = Codex::new();
    let [refresh, gone] = [refresh_token(), refresh_token()];
    let revoke = |token, http| {
        let stored = login(&login_token(END).secret(), token);
        assert!(matches!(codex.revocation(stored.info()), Revocation::Automatic { .. }));
        let ports = Ports::new().with_http(http);
        block_on(codex.revoke(&ports.host_context(), &stored))
    };
    let servers = || {
        let servers = Servers::knowing([]).issues(&login_token(END), &refresh);
        FakeHttp::answered_by(servers)
    };
    revoke(&refresh, servers()).unwrap();
    // It has ended already.
    revoke(&gone, servers()).unwrap();
    for (status, kind) in [(503, ErrorKind::Unavailable), (429, ErrorKind::RateLimited)] {
        let error = revoke(&refresh, FakeHttp::answered_by(EchoVendor::new(status))).unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}
