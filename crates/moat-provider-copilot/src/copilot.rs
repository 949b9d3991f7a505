//! The provider, which is an agent and nothing else.

use std::collections::BTreeMap;
#[cfg(feature = "cli")]
use std::sync::Arc;

use moat_agent::{SessionId, SessionStore};
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, CredentialKey, DescribableProvider,
    HostContext, Launch, PrepareOpts, Provider, ProviderName, Result, RunStoppedContext,
    RunStoppedHook,
};

use crate::agent::{self, HostSettings, NAME, Options, SESSION_ID, Workspace};

/// GitHub Copilot CLI as an agent, on a grant of `github`.
#[derive(Clone, Debug, Default)]
pub struct Copilot {
    options: Options,
}

impl Copilot {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the model; without this Copilot chooses, or the person's own settings.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// Sets the tier of the context window: `default`, `long_context`.
    #[must_use]
    pub fn context(mut self, tier: impl Into<String>) -> Self {
        self.options.context = Some(tier.into());
        self
    }

    /// Sets the effort of reasoning, from `none` to `max`.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.options.effort = Some(effort.into());
        self
    }

    /// Sets whether the workspace's own MCP servers, hooks and plugins are loaded.
    #[must_use]
    pub fn workspace(mut self, workspace: Workspace) -> Self {
        self.options.workspace = workspace;
        self
    }

    /// Sets where conversations are kept; in a private directory of the workspace without this.
    #[must_use]
    pub fn sessions(mut self, store: SessionStore) -> Self {
        self.options.sessions = store;
        self
    }

    /// Sets whether the person's own Copilot CLI has a say in the container's settings.
    #[must_use]
    pub fn host_settings(mut self, use_of: HostSettings) -> Self {
        self.options.host_settings = use_of;
        self
    }
}

impl Provider for Copilot {
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

impl AgentProvider for Copilot {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        agent::BACKENDS.select(named, stored)
    }

    fn prepare_container<'a>(
        &'a self,
        cx: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(agent::prepare(cx, &self.options, opts))
    }

    fn command(&self, launch: &Launch, config: &ContainerConfig) -> Result<Vec<String>> {
        agent::command(&self.options, launch, config)
    }

    fn client(&self) -> Option<ClientProgram> {
        Some(ClientProgram::new(
            "copilot",
            "1.0.102",
            "https://docs.github.com/copilot/how-tos/set-up/install-copilot-cli",
        ))
    }

    #[cfg(feature = "cli")]
    fn register_cli(&self, command: clap::Command) -> clap::Command {
        crate::cli::register(command)
    }

    #[cfg(feature = "cli")]
    fn from_matches(&self, matches: &clap::ArgMatches) -> Result<Option<Arc<dyn Provider>>> {
        Ok(Some(Arc::new(crate::cli::configure(self.clone(), matches))))
    }
}

impl RunStoppedHook for Copilot {
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

impl DescribableProvider for Copilot {
    fn description(&self) -> &str {
        "GitHub Copilot CLI as an agent, on the grant github"
    }
}
