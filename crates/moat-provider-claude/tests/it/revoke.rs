//! How credentials are ended.

use moat_provider_claude::{Anthropic, Claude};
use moat_provider_core::{ErrorKind, RevocableProvider, Revocation};
use moat_provider_testkit::{FakeHttp, Ports, block_on};

use crate::support::{KEY_PREFIX, OAUTH_PREFIX, credential, table, token};

#[test]
fn each_kind_is_ended_by_hand() {
    let (claude, anthropic) = (Claude::new(), Anthropic::new());
    for case in table(include_str!("../data/revocations.json")) {
        let name = case["case"].as_str().unwrap();
        let (grant, source) = (case["grant"].as_str().unwrap(), case["source"].as_str().unwrap());
        let (provider, prefix): (&dyn RevocableProvider, _) = match grant {
            "claude" => (&claude, OAUTH_PREFIX),
            _ => (&anthropic, KEY_PREFIX),
        };
        let stored = credential(grant, &token(prefix).secret(), source);
        let instructions = case["manual"].as_str().unwrap().to_owned();
        assert_eq!(
            provider.revocation(stored.info()),
            Revocation::Manual { instructions: instructions.clone() },
            "{name}"
        );
        let ports = Ports::bare().with_http(FakeHttp::forbidden());
        let error = block_on(provider.revoke(&ports.host_context(), &stored)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        assert_eq!(error.hint(), Some(instructions.as_str()), "{name}");
    }
}
