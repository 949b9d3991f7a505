//! What several tests share: grants and runs.

use std::sync::Arc;

use moat_provider_core::{
    AgentProvider, ContainerConfig, ContainerMounts, Credential, CredentialKey, PrepareOpts, Result,
};
use moat_provider_opencode::OpenCode;
use moat_provider_testkit::golden::Picture;
use moat_provider_testkit::{Canary, Ports, block_on, run_context};
use time::OffsetDateTime;

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn credential(grant: &str) -> Credential {
    let token = Canary::new().secret();
    Credential::builder(key(grant), token, OffsetDateTime::UNIX_EPOCH).build()
}

/// Prepares a container.
pub(crate) fn prepare(
    agent: &OpenCode,
    credentials: Vec<Credential>,
    change: impl FnOnce(&mut PrepareOpts),
) -> Result<ContainerConfig> {
    let run = run_context("golden").workspace("/workspace".parse().unwrap());
    let run = credentials.iter().fold(run, |run, one| run.grant(one.info().clone()));
    let mut opts = PrepareOpts::new(Arc::new(run.build()), credentials);
    change(&mut opts);
    block_on(agent.prepare_container(&Ports::bare().host_context(), &opts))
}

/// Shows everything that is staged.
pub(crate) fn picture(config: &ContainerConfig) -> String {
    let mut mounts = ContainerMounts::default();
    mounts.files.clone_from(&config.files);
    mounts.mounts.clone_from(&config.mounts);
    Picture::new().env(&config.env).mounts(&mounts).to_string()
}
