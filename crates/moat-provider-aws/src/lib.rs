#![doc = include_str!("../README.md")]

mod arn;
mod calls;
mod config;
mod container;
mod diagnosis;
mod duration;
mod endpoint;
mod grant;
mod issuing;
mod keys;
mod limits;
mod profile;
mod refusal;
mod revoke;
mod rules;
mod settings;
mod sigv4;
mod source;
mod sts;
mod upgrade;

use moat_provider_core::{
    BoxFuture, ContainerMounts, Credential, CredentialInfo, CredentialProvider, CredentialRecord,
    DescribableProvider, DiagnosableProvider, Diagnosis, EndpointProvider, EndpointRouter, EnvVar,
    Error, GrantContext, GrantError, GrantOption, GrantRequest, HostContext, HostFile,
    IssuingEndpoints, Minted, MintingProvider, Provider, ProviderName, ProxyConfigurer, Result,
    RevocableProvider, Revocation, RunContext, SecretName,
};

static NAME: ProviderName = ProviderName::from_static("aws");

/// The provider of AWS roles.
///
/// Its grants are `aws`, and `aws:NAME` for further roles; NAME is the profile's name in the
/// container.
#[derive(Clone, Debug)]
pub struct Aws {
    options: Vec<GrantOption>,
    host_files: [HostFile; 1],
}

impl Aws {
    /// Makes the provider.
    #[must_use]
    pub fn new() -> Self {
        Self { options: settings::options(), host_files: [profile::config_file()] }
    }
}

impl Default for Aws {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Aws {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_endpoint(&self) -> Option<&dyn EndpointProvider> {
        Some(self)
    }

    fn as_minting(&self) -> Option<&dyn MintingProvider> {
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

impl CredentialProvider for Aws {
    fn grant_options(&self) -> &[GrantOption] {
        &self.options
    }

    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if (1..=64).contains(&qualifier.len())
            && qualifier.bytes().all(plain)
            && qualifier != "default"
        {
            return Ok(());
        }
        Err(Error::invalid(format!("{qualifier:?} is not a name for a role"))
            .with_hint("write aws:NAME with letters, digits, - and _, such as aws:prod; options of the role are flags of moat grant"))
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
        issuing::endpoints(credential)
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
        let [config] = &self.host_files;
        container::mounts(credentials, run, config)
    }

    fn host_files(&self) -> &[HostFile] {
        &self.host_files
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        upgrade::upgrade(record)
    }

    fn implied_dependencies(&self) -> &[&'static str] {
        &["aws"]
    }
}

impl MintingProvider for Aws {
    fn minted_secrets(&self) -> &[SecretName] {
        &keys::MINTED
    }

    fn mint<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
        run: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>> {
        Box::pin(grant::mint(cx, credential, run))
    }
}

impl EndpointProvider for Aws {
    fn register_endpoints(
        &self,
        router: &mut EndpointRouter,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        endpoint::register(router, credential, run)
    }
}

impl RevocableProvider for Aws {
    fn revocation(&self, credential: &CredentialInfo) -> Revocation {
        revoke::revocation(credential)
    }

    fn revoke<'a>(
        &'a self,
        _: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Err(revoke::unsupported(credential.info())) })
    }
}

impl DiagnosableProvider for Aws {
    fn diagnose<'a>(
        &'a self,
        cx: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(diagnosis::diagnose(cx, credentials))
    }
}

impl DescribableProvider for Aws {
    fn description(&self) -> &str {
        "AWS role whose requests are signed outside the container"
    }
}
