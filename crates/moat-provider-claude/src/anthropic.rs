//! The provider of API keys.

use moat_provider_core::{
    BoxFuture, Credential, CredentialInfo, CredentialProvider, CredentialRecord,
    DescribableProvider, DiagnosableProvider, Diagnosis, EnvVar, GrantContext, GrantError,
    GrantOption, GrantRequest, HostContext, IssuingEndpoints, Provider, ProviderName,
    ProxyConfigurer, Result, RevocableProvider, Revocation, RunContext,
};

use crate::token::{ANTHROPIC, Kind};
use crate::{container, diagnosis, grant, issuing, revoke, rules, upgrade};

/// The provider of keys for Anthropic's API, for Claude Code and every other program.
#[derive(Clone, Debug)]
pub struct Anthropic {
    grant_options: Vec<GrantOption>,
}

impl Anthropic {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { grant_options: grant::key::options() }
    }
}

impl Default for Anthropic {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Anthropic {
    fn name(&self) -> &ProviderName {
        &ANTHROPIC
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
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

impl CredentialProvider for Anthropic {
    fn grant_options(&self) -> &[GrantOption] {
        &self.grant_options
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let granted = grant::key::grant(cx, request).await;
            granted.map_err(|error| error.in_grant_of(&ANTHROPIC))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        rules::configure(proxy, Kind::ApiKey, credential, run)
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        issuing::endpoints()
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        container::key_env(credentials, run)
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade(Kind::ApiKey, record)
    }
}

impl RevocableProvider for Anthropic {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(Kind::ApiKey, credential)
    }

    fn revoke<'a>(
        &'a self,
        _: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { revoke::refuse(Kind::ApiKey, credential.info()) })
    }
}

impl DiagnosableProvider for Anthropic {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(Kind::ApiKey, credentials) })
    }
}

impl DescribableProvider for Anthropic {
    fn description(&self) -> &str {
        "Anthropic API key, for any program"
    }
}
