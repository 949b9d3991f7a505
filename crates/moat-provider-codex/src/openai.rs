//! The provider of API keys.

use moat_provider_core::{
    BoxFuture, Credential, CredentialInfo, CredentialProvider, CredentialRecord,
    DescribableProvider, DiagnosableProvider, Diagnosis, EnvVar, GrantContext, GrantError,
    GrantOption, GrantRequest, HostContext, IssuingEndpoints, Provider, ProviderName,
    ProxyConfigurer, Result, RevocableProvider, Revocation, RunContext,
};

use crate::token::{Kind, OPENAI};
use crate::{container, diagnosis, grant, issuing, revoke, rules, upgrade};

/// The provider of keys for OpenAI's API, for Codex and every other program.
#[derive(Clone, Debug)]
pub struct OpenAi {
    grant_options: Vec<GrantOption>,
}

impl OpenAi {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { grant_options: grant::key::options() }
    }
}

impl Default for OpenAi {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &ProviderName {
        &OPENAI
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

impl CredentialProvider for OpenAi {
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
            granted.map_err(|error| error.in_grant_of(&OPENAI))
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
        issuing::endpoints(Kind::ApiKey)
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        container::key_env(credentials, run)
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade_key(record)
    }
}

impl RevocableProvider for OpenAi {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(Kind::ApiKey, credential)
    }

    fn revoke<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(revoke::revoke(cx, Kind::ApiKey, credential))
    }
}

impl DiagnosableProvider for OpenAi {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async { diagnosis::diagnose(Kind::ApiKey, credentials) })
    }
}

impl DescribableProvider for OpenAi {
    fn description(&self) -> &str {
        "OpenAI API key, for any program"
    }
}
