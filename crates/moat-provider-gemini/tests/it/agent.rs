//! Which grants a run uses.

use moat_provider_core::{AgentProvider, CredentialKey, ErrorKind};
use moat_provider_gemini::Gemini;

use crate::support::key;

#[test]
fn its_own_grant_comes_along() {
    let select = |named: &[&str], stored: &[&str]| {
        let keys =
            |names: &[&str]| -> Vec<CredentialKey> { names.iter().map(|n| key(n)).collect() };
        let chosen = Gemini::new().select_grants(&keys(named), &keys(stored))?;
        Ok::<_, moat_provider_core::Error>(
            chosen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    assert_eq!(select(&["github"], &["github", "gemini"]).unwrap(), ["gemini", "github"]);
    assert_eq!(select(&["gemini", "github"], &[]).unwrap(), ["gemini", "github"]);
    let error = select(&["github"], &["github"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
    assert_eq!(error.hint(), Some("moat grant gemini"));
}
