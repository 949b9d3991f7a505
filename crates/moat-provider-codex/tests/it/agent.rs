//! Which grants a run uses.

use moat_provider_codex::Codex;
use moat_provider_core::{AgentProvider, CredentialKey, ErrorKind};

use crate::support::key;

#[test]
fn a_login_goes_before_a_key_and_a_named_grant_before_both() {
    let select = |named: &[&str], stored: &[&str]| {
        let keys =
            |names: &[&str]| -> Vec<CredentialKey> { names.iter().map(|n| key(n)).collect() };
        let chosen = Codex::new().select_grants(&keys(named), &keys(stored))?;
        let chosen = chosen.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok::<_, moat_provider_core::Error>(chosen)
    };
    for (named, stored, chosen) in [
        (&[][..], &["openai", "codex"][..], &["codex"][..]),
        (&[], &["github", "openai"], &["openai"]),
        (&["github"], &["codex", "github"], &["codex", "github"]),
        (&["openai"], &["codex", "openai"], &["openai"]),
        (&["github", "openai"], &["codex"], &["github", "openai"]),
        (&["openai", "codex", "openai"], &[], &["openai", "codex"]),
    ] {
        assert_eq!(select(named, stored).unwrap(), chosen, "{named:?} of {stored:?}");
    }
    let error = select(&["github"], &["github"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
    assert!(error.hint().unwrap().contains("moat grant codex"), "{error}");
}
