//! The provider, which is also the agent.

use std::collections::BTreeMap;
#[cfg(feature = "cli")]
use std::sync::Arc;
use std::time::Duration;

use moat_agent::{SessionId, SessionStore};
use moat_provider_core::{
    AgentProvider, BoxFuture, ClientProgram, ContainerConfig, Credential, CredentialInfo,
    CredentialKey, CredentialProvider, CredentialRecord, DescribableProvider, DiagnosableProvider,
    Diagnosis, EnvVar, GrantContext, GrantError, GrantOption, GrantRequest, HostContext,
    IssuingEndpoints, Launch, PrepareOpts, Provider, ProviderName, ProxyConfigurer,
    RefreshableProvider, Refreshed, Result, RevocableProvider, Revocation, RunContext,
    RunStoppedContext, RunStoppedHook,
};

use crate::agent::{HostSettings, Options, SESSION_ID};
use crate::kind::NAME;
use crate::oauth::OAuthClient;
use crate::{agent, container, diagnosis, grant, issuing, refresh, revoke, rules, upgrade};

/// The provider of keys of the Gemini API and of Google logins, and of Gemini CLI as an agent.
#[derive(Clone, Debug)]
pub struct Gemini {
    grant_options: Vec<GrantOption>,
    client: Option<OAuthClient>,
    options: Options,
}

impl Gemini {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { grant_options: grant::options(), client: None, options: Options::default() }
    }

    /// Sets the OAuth client of logins; without this it is that of the environment, if there is one.
    #[must_use]
    pub fn oauth_client(mut self, client: OAuthClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the model; without this Gemini CLI chooses.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// Sets the Google Cloud project, which accounts of organizations need for a login.
    #[must_use]
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.options.project = Some(project.into());
        self
    }

    /// Sets where conversations are kept; in a private directory of the workspace without this.
    #[must_use]
    pub fn sessions(mut self, store: SessionStore) -> Self {
        self.options.sessions = store;
        self
    }

    /// Sets whether the person's own Gemini CLI has a say in the container's settings.
    #[must_use]
    pub fn host_settings(mut self, use_of: HostSettings) -> Self {
        self.options.host_settings = use_of;
        self
    }
}

impl Default for Gemini {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Gemini {
    fn name(&self) -> &ProviderName {
        &NAME
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

impl CredentialProvider for Gemini {
    fn grant_options(&self) -> &[GrantOption] {
        &self.grant_options
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let granted = grant::grant(cx, request, self.client.as_ref()).await;
            granted.map_err(|error| error.in_grant_of(&NAME))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        rules::configure(proxy, credential, run)
    }

    fn issuing_endpoints(&self, credential: &CredentialInfo) -> Result<IssuingEndpoints> {
        issuing::endpoints(credential)
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        container::env(credentials, run)
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade(record)
    }
}

impl RefreshableProvider for Gemini {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        refresh::is_possible(credential)
    }

    /// Google's access tokens live for an hour.
    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(45 * 60)
    }

    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(refresh::refresh(cx, credential))
    }
}

impl RevocableProvider for Gemini {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(credential)
    }

    fn revoke<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(revoke::revoke(cx, credential))
    }
}

impl AgentProvider for Gemini {
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
        Some(ClientProgram::new("gemini", "0.61.0", "https://github.com/google-gemini/gemini-cli"))
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

impl RunStoppedHook for Gemini {
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

impl DiagnosableProvider for Gemini {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(credentials) })
    }
}

impl DescribableProvider for Gemini {
    fn description(&self) -> &str {
        "Gemini API key or Google login, and Gemini CLI as an agent"
    }
}
