//! The contract of an agent, and which grant it runs on.

use moat_provider_core::{AgentProvider, CredentialKey, ErrorKind};
use moat_provider_pi::{Backend, Pi};
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};

use crate::support::{credential, key, prepare};

#[test]
fn the_agent_conforms() {
    assert_conforms(
        &Pi::new(),
        Expect::new([Capability::Agent, Capability::RunStoppedHook, Capability::Describable]),
    );
}

#[test]
fn the_person_decides_which_account_pays() {
    let keys = |names: &[&str]| -> Vec<CredentialKey> { names.iter().map(|n| key(n)).collect() };
    let select = |agent: &Pi, named: &[&str], stored: &[&str]| {
        agent.select_grants(&keys(named), &keys(stored))
    };
    let agent = Pi::new();
    let openai = Pi::new().backend(Backend::OpenAi);
    assert_eq!(select(&agent, &[], &["github", "openai"]).unwrap(), keys(&["openai"]));
    let both = &["anthropic", "openai", "claude"];
    assert_eq!(select(&agent, &["anthropic"], both).unwrap(), keys(&["anthropic"]));
    assert_eq!(select(&openai, &[], both).unwrap(), keys(&["openai"]));
    assert_eq!(select(&agent, &[], both).unwrap_err().kind(), ErrorKind::Conflict);
    // A subscription is for its vendor's own program.
    let error = select(&agent, &[], &["claude"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
    let error = select(&openai, &[], &["anthropic"]).unwrap_err();
    assert_eq!(error.hint(), Some("moat grant openai"));
    assert!(Backend::named("claude").unwrap_err().hint().unwrap().contains("anthropic"));
}

#[test]
fn a_google_login_is_no_key() {
    let login = credential("gemini").renew().metadata("auth_type", "oauth").build();
    let error = prepare(&Pi::new(), vec![login], |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some());
}
