#![doc = include_str!("../README.md")]

mod container;
mod grant;
mod name;
mod options;
mod place;
mod probe;
mod revoke;
mod rules;
mod service;
mod text;
mod variable;
mod way;

use moat_provider_core::{
    BoxFuture, Credential, CredentialInfo, CredentialProvider, DescribableProvider, EnvVar,
    GrantContext, GrantError, GrantOption, GrantRequest, HostContext, IssuingEndpoints, Provider,
    ProviderName, ProxyConfigurer, Result, RevocableProvider, Revocation, RunContext,
};

static NAME: ProviderName = ProviderName::from_static("custom");

/// The provider of services that the person describes: any with a static secret.
///
/// Its grants are `custom:NAME`, with a name of the person's choice.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Custom;

impl Custom {
    /// Makes the provider.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Provider for Custom {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Custom {
    fn grant_options(&self) -> &[GrantOption] {
        &options::OPTIONS
    }

    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        name::check(qualifier)
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

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none(
            "the service is one that the person described: which of its endpoints issue \
             credentials is not known",
        ))
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        container::env(credentials, run)
    }
}

impl RevocableProvider for Custom {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(credential)
    }

    fn revoke<'a>(
        &'a self,
        _: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(revoke::unsupported(credential.info())) })
    }
}

impl DescribableProvider for Custom {
    fn description(&self) -> &str {
        "Any service with a static secret, on the hosts that you name"
    }
}
