//! The provider, which is an agent and nothing else.

#[cfg(feature = "cli")]
use std::sync::Arc;

use moat_agent::{SessionStore, keys};
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, CredentialKey, DescribableProvider,
    HostContext, Launch, PrepareOpts, Provider, ProviderName, Result,
};

use crate::agent::{self, NAME, Options, TITLE};
use crate::{Backend, command};

/// OpenCode as an agent, on an API key.
#[derive(Clone, Debug, Default)]
pub struct OpenCode {
    options: Options,
}

impl OpenCode {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what it runs on; without this it is the only grant that would do.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.options.backend = Some(backend);
        self
    }

    /// Sets the model, by the vendor's name; without this OpenCode chooses.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// Sets where conversations are kept; in a private directory of the workspace without this.
    #[must_use]
    pub fn sessions(mut self, store: SessionStore) -> Self {
        self.options.sessions = store;
        self
    }
}

impl Provider for OpenCode {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl AgentProvider for OpenCode {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        keys::select(TITLE, self.options.backend, named, stored)
    }

    fn prepare_container<'a>(
        &'a self,
        _: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async move { agent::prepare(&self.options, opts) })
    }

    fn command(&self, launch: &Launch, config: &ContainerConfig) -> Result<Vec<String>> {
        command::command(&self.options, launch, config)
    }

    fn client(&self) -> Option<ClientProgram> {
        Some(ClientProgram::new("opencode", "1.18.33", "https://opencode.ai/docs"))
    }

    #[cfg(feature = "cli")]
    fn register_cli(&self, command: clap::Command) -> clap::Command {
        crate::cli::register(command)
    }

    #[cfg(feature = "cli")]
    fn from_matches(&self, matches: &clap::ArgMatches) -> Result<Option<Arc<dyn Provider>>> {
        Ok(Some(Arc::new(crate::cli::configure(self.clone(), matches)?)))
    }
}

impl DescribableProvider for OpenCode {
    fn description(&self) -> &str {
        "OpenCode as an agent, on an API key of Anthropic, OpenAI or Gemini"
    }
}
