//! Ending tokens at GitHub.

use http::header::AUTHORIZATION;
use moat_provider_core::{
    Credential, ErrorKind, HeaderTemplate, Result, RevocableProvider, Revocation,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::{EchoVendor, Ports, block_on};

use crate::support::{Accounts, credential, table, token};

fn revoke(ports: &Ports, credential: &Credential) -> Result<()> {
    let github = GitHub::new();
    block_on(github.revoke(&ports.host_context(), credential))
}

#[test]
fn what_github_can_revoke_is_revoked_and_the_rest_is_explained() {
    for case in table(include_str!("../data/revocations.json")) {
        let name = case["case"].as_str().unwrap();
        let field = |field: &str| case[field].as_str().unwrap_or_default();
        let canary = token(field("prefix"));
        let stored = credential(field("grant"), &canary.secret(), field("source"), field("kind"));
        let ports = Ports::new().with_vendor(Accounts::new().knows(&canary.secret(), "octocat"));
        match GitHub::new().revocation(stored.info()) {
            Revocation::Automatic { effect } => {
                assert!(!field("automatic").is_empty(), "{name}: {effect}");
                assert!(effect.contains(field("automatic")), "{name}: {effect}");
                revoke(&ports, &stored).unwrap();
                let request = &ports.requests()[0];
                let line = format!("{} {}", request.method(), request.uri());
                assert_eq!(line, field("request"), "{name}");
                // 401 counts as revoked, so the double alone does not prove which token was sent.
                let bearer = HeaderTemplate::Bearer.render(&canary.secret()).unwrap();
                let itself = field("kind") == "installation";
                let sent = request.headers().get(AUTHORIZATION);
                assert_eq!(sent, itself.then_some(&bearer), "{name}");
            }
            Revocation::Manual { instructions } => {
                assert_eq!(instructions, field("manual"), "{name}");
                let error = revoke(&ports, &stored).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
                assert_eq!(error.hint(), case["manual"].as_str(), "{name}");
                assert!(ports.requests().is_empty(), "{name}");
            }
            revocation => panic!("{name}: {revocation:?}"),
        }
    }
}

/// The double of the table above would have refused another token.
#[test]
fn another_token_is_not_revoked() {
    for (prefix, kind) in [("ghp_", "classic"), ("ghs_", "installation")] {
        let (right, wrong) = (token(prefix), token(prefix));
        let stored = credential("github", &wrong.secret(), "prompt", kind);
        let ports = Ports::new().with_vendor(Accounts::new().knows(&right.secret(), "octocat"));
        let result = revoke(&ports, &stored);
        // For an installation token 401 means that it has ended already.
        assert_eq!(result.is_ok(), kind == "installation");
    }
}

#[test]
fn refusals_have_their_kinds() {
    for (prefix, kind) in [("ghp_", "classic"), ("ghs_", "installation")] {
        for (status, expected) in [
            (403, ErrorKind::PermissionDenied),
            (404, ErrorKind::UnexpectedAnswer),
            (422, ErrorKind::UnexpectedAnswer),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Unavailable),
        ] {
            let canary = token(prefix);
            let stored = credential("github", &canary.secret(), "prompt", kind);
            let ports = Ports::new().with_vendor(EchoVendor::new(status));
            let error = revoke(&ports, &stored).unwrap_err();
            assert_eq!(error.kind(), expected, "{kind} {status}");
            assert!(error.hint().is_some(), "{kind} {status}");
            assert_eq!(canary.find_in_str(&format!("{error} {error:?}")), None);
        }
    }
}
