//! The provider, which is an agent and nothing else.

use std::collections::BTreeMap;
#[cfg(feature = "cli")]
use std::sync::Arc;

use moat_agent::{SessionId, SessionStore, keys};
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, CredentialKey, DescribableProvider,
    HostContext, Launch, PrepareOpts, Provider, ProviderName, Result, RunStoppedContext,
    RunStoppedHook,
};

use crate::agent::{self, NAME, Options, SESSION_ID, TITLE};
use crate::{Backend, command};

/// Pi as an agent, on an API key.
#[derive(Clone, Debug, Default)]
pub struct Pi {
    options: Options,
}

impl Pi {
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

    /// Sets the model, by the vendor's name; without this Pi chooses.
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

impl Provider for Pi {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl AgentProvider for Pi {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        keys::select(TITLE, self.options.backend, named, stored)
    }

    fn prepare_container<'a>(
        &'a self,
        cx: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async move { agent::prepare(cx, &self.options, opts) })
    }

    fn command(&self, launch: &Launch, config: &ContainerConfig) -> Result<Vec<String>> {
        command::command(&self.options, launch, config)
    }

    fn client(&self) -> Option<ClientProgram> {
        Some(ClientProgram::new("pi", "1.5.2", "https://pi.dev"))
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

impl RunStoppedHook for Pi {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        let id = SessionId::kept(&run.state, SESSION_ID);
        let kept = id.map(|id| (SESSION_ID.to_owned(), id.to_string())).into_iter().collect();
        Box::pin(async move { Ok(kept) })
    }
}

impl DescribableProvider for Pi {
    fn description(&self) -> &str {
        "Pi as an agent, on an API key of Anthropic, OpenAI or Gemini"
    }
}
