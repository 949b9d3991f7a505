//! The provider of subscriptions, which is also the agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
#[cfg(feature = "cli")]
use std::sync::Arc;

use moat_agent::SessionStore;
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, ContainerMounts, Credential,
    CredentialInfo, CredentialKey, CredentialProvider, CredentialRecord, DescribableProvider,
    DiagnosableProvider, Diagnosis, GrantContext, GrantError, GrantOption, GrantRequest,
    HostContext, IssuingEndpoints, Launch, PrepareOpts, Provider, ProviderName, ProxyConfigurer,
    Result, RevocableProvider, Revocation, RunContext, RunStoppedContext, RunStoppedHook,
};
use serde_json::{Map, Value};

use crate::agent::{HostSettings, Identity, NonessentialTraffic, Options, SettingsSource};
use crate::token::{CLAUDE, Kind};
use crate::{agent, container, diagnosis, grant, issuing, revoke, rules, session, upgrade};

/// The provider of tokens of a Claude subscription, and of Claude Code as an agent.
///
/// As an agent it runs with a grant of its own, with one of [`Anthropic`](crate::Anthropic), or with
/// both.
#[derive(Clone, Debug)]
pub struct Claude {
    grant_options: Vec<GrantOption>,
    options: Options,
}

impl Claude {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { grant_options: grant::subscription::options(), options: Options::default() }
    }

    /// Sets the model; without this Claude Code chooses.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// Sets the plan that Claude Code believes it runs on: `max`, `pro`, `team`. Without this it is
    /// that of an imported login, else `max`. The vendor decides what it answers, whatever stands
    /// here.
    #[must_use]
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.options.plan = Some(plan.into());
        self
    }

    /// Sets where conversations are kept; in a private directory of the workspace without this.
    #[must_use]
    pub fn sessions(mut self, store: SessionStore) -> Self {
        self.options.sessions = store;
        self
    }

    /// Sets a directory of the host with plugins and marketplaces, laid out as Claude Code's own
    /// `~/.claude/plugins`. Those of its plugins that settings enable are used without fetching
    /// anything, and no others can be added. The container may read all of it.
    #[must_use]
    pub fn plugin_seed(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.plugin_seed = Some(directory.into());
        self
    }

    /// Adds settings of a source, which prevail over those of the same source before and of weaker
    /// sources.
    #[must_use]
    pub fn settings(mut self, source: SettingsSource, settings: Map<String, Value>) -> Self {
        self.options.settings.push((source, settings));
        self
    }

    /// Sets whether the person's own Claude Code has a say in the container's settings.
    #[must_use]
    pub fn host_settings(mut self, use_of: HostSettings) -> Self {
        self.options.host_settings = use_of;
        self
    }

    /// Sets how much the container knows about whose account it uses.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.options.identity = identity;
        self
    }

    /// Sets whether Claude Code sends telemetry and fetches what it does not need to work.
    #[must_use]
    pub fn nonessential_traffic(mut self, traffic: NonessentialTraffic) -> Self {
        self.options.traffic = traffic;
        self
    }
}

impl Default for Claude {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Claude {
    fn name(&self) -> &ProviderName {
        &CLAUDE
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        Some(self)
    }

    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        Some(self)
    }

    fn as_diagnosable(&self) -> Option<&dyn DiagnosableProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Claude {
    fn grant_options(&self) -> &[GrantOption] {
        &self.grant_options
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let granted = grant::subscription::grant(cx, request).await;
            granted.map_err(|error| error.in_grant_of(&CLAUDE))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        rules::configure(proxy, Kind::OAuth, credential, run)
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        issuing::endpoints()
    }

    fn container_mounts(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<ContainerMounts> {
        container::login(credentials, run, self.options.plan.as_deref())
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade(Kind::OAuth, record)
    }
}

impl RevocableProvider for Claude {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(Kind::OAuth, credential)
    }

    fn revoke<'a>(
        &'a self,
        _: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { revoke::refuse(Kind::OAuth, credential.info()) })
    }
}

impl AgentProvider for Claude {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        agent::select_grants(named, stored)
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
        Some(ClientProgram::new("claude", "2.1.197", "https://code.claude.com/docs/en/setup"))
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

impl RunStoppedHook for Claude {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async move {
            let id = session::known(&run.state);
            Ok(id.map(|id| (session::SESSION_ID.to_owned(), id.to_string())).into_iter().collect())
        })
    }
}

impl DiagnosableProvider for Claude {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(Kind::OAuth, credentials) })
    }
}

impl DescribableProvider for Claude {
    fn description(&self) -> &str {
        "Claude subscription, and Claude Code as an agent"
    }
}
