#![doc = include_str!("../README.md")]

mod api;
mod config;
mod container;
mod diagnosis;
mod gh;
mod grant;
mod host;
mod issuing;
mod refresh;
mod revoke;
mod rules;
mod token;
mod upgrade;

use std::time::Duration;

use moat_provider_core::{
    BoxFuture, ContainerMounts, Credential, CredentialInfo, CredentialProvider, CredentialRecord,
    DescribableProvider, DiagnosableProvider, Diagnosis, EnvVar, GrantContext, GrantError,
    GrantOption, GrantRequest, HostContext, HostFile, IssuingEndpoints, Provider, ProviderName,
    ProxyConfigurer, RefreshableProvider, Refreshed, Result, RevocableProvider, Revocation,
    RunContext,
};

static NAME: ProviderName = ProviderName::from_static("github");

/// The provider of GitHub credentials.
///
/// Its grants are `github` for github.com, and `github:HOST` for a tenant of ghe.com or a GitHub
/// Enterprise Server.
#[derive(Clone, Debug)]
pub struct GitHub {
    options: Vec<GrantOption>,
    host_files: [HostFile; 1],
}

impl GitHub {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { options: grant::options(), host_files: [config::host_file()] }
    }
}

impl Default for GitHub {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for GitHub {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
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

impl CredentialProvider for GitHub {
    fn grant_options(&self) -> &[GrantOption] {
        &self.options
    }

    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        host::Instance::parse(qualifier).map(drop)
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let granted = grant::grant(cx, request).await;
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
        issuing::endpoints(credential.key())
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        container::env(credentials, run)
    }

    fn container_mounts(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<ContainerMounts> {
        let [preferences] = &self.host_files;
        container::mounts(credentials, run, preferences)
    }

    fn host_files(&self) -> &[HostFile] {
        &self.host_files
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade(record)
    }

    fn implied_dependencies(&self) -> &[&'static str] {
        &["gh", "git"]
    }
}

impl RefreshableProvider for GitHub {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        refresh::is_from_gh(credential)
    }

    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(30 * 60)
    }

    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(refresh::refresh(cx, credential))
    }
}

impl RevocableProvider for GitHub {
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

impl DiagnosableProvider for GitHub {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(credentials) })
    }
}

impl DescribableProvider for GitHub {
    fn description(&self) -> &str {
        "GitHub token for the API and for git over HTTPS"
    }
}
