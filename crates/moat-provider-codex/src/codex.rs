//! The provider of ChatGPT logins, which is also the agent.

#[cfg(feature = "cli")]
use std::sync::Arc;
use std::time::Duration;

use moat_agent::SessionStore;
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, ContainerMounts, Credential,
    CredentialInfo, CredentialKey, CredentialProvider, DescribableProvider, DiagnosableProvider,
    Diagnosis, GrantContext, GrantError, GrantOption, GrantRequest, HostContext, IssuingEndpoints,
    Launch, PrepareOpts, Provider, ProviderName, ProxyConfigurer, RefreshableProvider, Refreshed,
    Result, RevocableProvider, Revocation, RunContext,
};

use crate::agent::{HostSettings, Options, Transport};
use crate::token::{CODEX, Kind};
use crate::{agent, container, diagnosis, grant, issuing, refresh, revoke, rules};

/// The provider of ChatGPT logins, and of Codex as an agent.
///
/// As an agent it runs with a grant of its own, with one of [`OpenAi`](crate::OpenAi), or with both.
#[derive(Clone, Debug)]
pub struct Codex {
    grant_options: Vec<GrantOption>,
    options: Options,
}

impl Codex {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { grant_options: grant::account::options(), options: Options::default() }
    }

    /// Sets the model; without this it is that of the person's own Codex, else Codex chooses.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// Sets how long the model thinks: `low`, `medium`, `high`, or what else the model knows.
    #[must_use]
    pub fn effort(mut self, effort: impl Into<String>) -> Self {
        self.options.effort = Some(effort.into());
        self
    }

    /// Sets where conversations are kept; in a private directory of the workspace without this.
    ///
    /// Codex has one directory for all projects: whoever shares it shares the conversations of all.
    #[must_use]
    pub fn sessions(mut self, store: SessionStore) -> Self {
        self.options.sessions = store;
        self
    }

    /// Sets whether the person's own Codex has a say in the container's settings.
    #[must_use]
    pub fn host_settings(mut self, use_of: HostSettings) -> Self {
        self.options.host_settings = use_of;
        self
    }

    /// Sets how Codex talks to a model.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.options.transport = transport;
        self
    }
}

impl Default for Codex {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Codex {
    fn name(&self) -> &ProviderName {
        &CODEX
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }

    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        Some(self)
    }

    fn as_diagnosable(&self) -> Option<&dyn DiagnosableProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Codex {
    fn grant_options(&self) -> &[GrantOption] {
        &self.grant_options
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let granted = grant::account::grant(cx, request).await;
            granted.map_err(|error| error.in_grant_of(&CODEX))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        rules::configure(proxy, Kind::ChatGpt, credential, run)
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        issuing::endpoints(Kind::ChatGpt)
    }

    fn container_mounts(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<ContainerMounts> {
        container::login(credentials, run)
    }
}

impl RefreshableProvider for Codex {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        refresh::is_possible(credential)
    }

    /// Codex renews a token whose expiry it cannot read after eight days (0.169.0).
    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(8 * 24 * 60 * 60)
    }

    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(refresh::refresh(cx, credential))
    }
}

impl RevocableProvider for Codex {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(Kind::ChatGpt, credential)
    }

    fn revoke<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(revoke::revoke(cx, Kind::ChatGpt, credential))
    }
}

impl AgentProvider for Codex {
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
        Some(ClientProgram::new("codex", "0.169.0", "https://developers.openai.com/codex/cli"))
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

impl DiagnosableProvider for Codex {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(Kind::ChatGpt, credentials) })
    }
}

impl DescribableProvider for Codex {
    fn description(&self) -> &str {
        "ChatGPT login for Codex, and Codex as an agent"
    }
}
