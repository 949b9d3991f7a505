//! What several tests share: tokens and runs.

use std::sync::Arc;

use moat_provider_copilot::Copilot;
use moat_provider_core::{
    AgentProvider, Alphabet, ContainerConfig, ContainerMounts, Credential, CredentialKey,
    PrepareOpts, Result, RunContext,
};
use moat_provider_testkit::golden::Picture;
use moat_provider_testkit::{Canary, Ports, block_on, run_context};
use time::OffsetDateTime;

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn token() -> Canary {
    Canary::shaped("gho_", Alphabet::Alphanumeric, 36)
}

pub(crate) fn credential(grant: &str, token: &Canary) -> Credential {
    Credential::builder(key(grant), token.secret(), OffsetDateTime::UNIX_EPOCH).build()
}

/// A container with the agent's part.
pub(crate) struct Container {
    pub(crate) run: Arc<RunContext>,
    pub(crate) config: ContainerConfig,
}

/// Prepares a container.
pub(crate) fn prepare(
    copilot: &Copilot,
    ports: &Ports,
    credentials: Vec<Credential>,
    change: impl FnOnce(&mut PrepareOpts),
) -> Result<Container> {
    let run = run_context("golden").workspace("/workspace".parse().unwrap());
    let run = credentials.iter().fold(run, |run, one| run.grant(one.info().clone()));
    let run = Arc::new(run.build());
    let mut opts = PrepareOpts::new(Arc::clone(&run), credentials);
    change(&mut opts);
    let config = block_on(copilot.prepare_container(&ports.host_context(), &opts))?;
    Ok(Container { run, config })
}

impl Container {
    /// Shows everything that is staged, with names in the place of placeholders.
    pub(crate) fn picture(&self) -> String {
        let mut mounts = ContainerMounts::default();
        mounts.files.clone_from(&self.config.files);
        mounts.mounts.clone_from(&self.config.mounts);
        let mut picture = Picture::new().env(&self.config.env).mounts(&mounts);
        if let Some(rule) = self.config.rules.credentials().first() {
            picture = picture.placeholder("copilot", &rule.placeholders()[0]);
        }
        picture.to_string()
    }

    /// Shows the rules, one a line.
    pub(crate) fn rules(&self) -> String {
        let rules = self.config.rules.credentials();
        rules.iter().map(|rule| format!("{}  <{}>\n", rule.target(), rule.secret())).collect()
    }

    /// Returns what stands in a file below the home directory.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let path = self.run.home().join(path).unwrap();
        let file = self.config.files.iter().find(|file| *file.path() == path)?;
        Some(String::from_utf8(file.contents().to_vec()).unwrap())
    }
}
