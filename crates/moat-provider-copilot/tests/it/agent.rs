//! The contract of an agent, and which grants it uses.

use moat_provider_copilot::Copilot;
use moat_provider_core::{AgentProvider, CredentialKey};
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};

use crate::support::key;

#[test]
fn the_agent_conforms() {
    let capabilities = [Capability::Agent, Capability::RunStoppedHook, Capability::Describable];
    assert_conforms(&Copilot::new(), Expect::new(capabilities));
}

#[test]
fn it_runs_on_the_grant_of_github() {
    let keys = |names: &[&str]| -> Vec<CredentialKey> { names.iter().map(|n| key(n)).collect() };
    let select =
        |named: &[&str], stored: &[&str]| Copilot::new().select_grants(&keys(named), &keys(stored));
    let stored = ["aws", "github:octo.ghe.com", "github"];
    assert_eq!(select(&["aws"], &stored).unwrap(), keys(&["github", "aws"]));
    let tenant = select(&["github:octo.ghe.com"], &stored).unwrap();
    assert_eq!(tenant, keys(&["github:octo.ghe.com"]));
    assert_eq!(select(&[], &["aws"]).unwrap_err().hint(), Some("moat grant github"));
}
