//! The traits that a provider implements.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;

use crate::{
    AgentProvider, BoxFuture, ContainerMounts, Credential, CredentialInfo, CredentialRecord,
    DiagnosableProvider, EndpointProvider, EnvVar, Error, GrantContext, GrantError, GrantOption,
    GrantRequest, HostContext, HostFile, IssuingEndpoints, ProviderName, ProxyConfigurer, Result,
    RunContext, RunId, SecretName, Secrets,
};

/// Code that knows one vendor.
///
/// The root of the family: it carries the name and says which capabilities there are. Registries
/// hold `Arc<dyn Provider>`.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Returns the canonical name.
    fn name(&self) -> &ProviderName;

    /// Returns the capability to grant and inject credentials.
    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        None
    }

    /// Returns the capability to run as an agent.
    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        None
    }

    /// Returns the capability to serve endpoints to the container.
    fn as_endpoint(&self) -> Option<&dyn EndpointProvider> {
        None
    }

    /// Returns the capability to refresh credentials.
    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        None
    }

    /// Returns the capability to revoke credentials at the vendor.
    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        None
    }

    /// Returns the capability to derive secrets for one run.
    fn as_minting(&self) -> Option<&dyn MintingProvider> {
        None
    }

    /// Returns the hook that is called when a run has stopped.
    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        None
    }

    /// Returns the capability to look at what its grants need on this machine.
    fn as_diagnosable(&self) -> Option<&dyn DiagnosableProvider> {
        None
    }

    /// Returns the description for listings.
    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        None
    }
}

/// Acquires a credential, and says where it goes.
///
/// All methods but [`grant`](Self::grant) are pure: same arguments, same result, in the same order
/// (law L4). They see a [`CredentialInfo`], which has no secrets, so no secret can reach a rule, a
/// variable or a file (law L2).
pub trait CredentialProvider: Provider {
    /// Returns the options of a grant: flags of `moat grant`.
    fn grant_options(&self) -> &[GrantOption] {
        &[]
    }

    /// Checks what a person wrote behind the colon. The default takes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput), saying what may stand there.
    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        let name = self.name();
        Err(Error::invalid(format!("{name} takes nothing behind a colon, not {qualifier:?}"))
            .with_hint(format!("write {name}")))
    }

    /// Acquires a credential from the environment, a vendor's tool or the person, and validates it.
    ///
    /// # Errors
    ///
    /// Any kind, with a hint that says what to do.
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>>;

    /// States what the proxy does with a credential.
    ///
    /// Called when a run starts and, with the same `run`, after each refresh.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the credential lacks
    /// metadata that the rules need.
    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()>;

    /// Returns the endpoints of the vendor that issue credentials or lasting access (law L16), or
    /// states that there are none.
    ///
    /// # Errors
    ///
    /// Those of [`configure_proxy`](Self::configure_proxy).
    fn issuing_endpoints(&self, credential: &CredentialInfo) -> Result<IssuingEndpoints>;

    /// Returns the variables of the container. Called once per run with all grants of this
    /// provider, in the order in which the person named them.
    ///
    /// # Errors
    ///
    /// Those of [`configure_proxy`](Self::configure_proxy).
    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        let _ = (credentials, run);
        Ok(Vec::new())
    }

    /// Returns the files and mounts of the container. Called like
    /// [`container_env`](Self::container_env).
    ///
    /// # Errors
    ///
    /// Those of [`configure_proxy`](Self::configure_proxy).
    fn container_mounts(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<ContainerMounts> {
        let _ = (credentials, run);
        Ok(ContainerMounts::default())
    }

    /// Names the host files that [`container_mounts`](Self::container_mounts) looks at through
    /// [`RunContext::host_file`]; the host reads them when the run starts.
    fn host_files(&self) -> &[HostFile] {
        &[]
    }

    /// Brings a record of an earlier version, or of the Go moat, into today's form: secrets out of
    /// the metadata above all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the record makes no sense.
    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        let _ = record;
        Ok(())
    }

    /// Names the tools that somebody with this grant will want in the container.
    fn implied_dependencies(&self) -> &[&'static str] {
        &[]
    }
}

/// Keeps credentials fresh.
pub trait RefreshableProvider: CredentialProvider {
    /// Whether this credential can be refreshed at all.
    fn can_refresh(&self, credential: &CredentialInfo) -> bool;

    /// Returns how long a credential without a known expiry is used before it is refreshed.
    fn refresh_interval(&self) -> Duration;

    /// Obtains a fresh token.
    ///
    /// The host holds the credential's lease while this runs, and stores the result before anybody
    /// uses it. The environment of the person is out of reach, by type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TokenRevoked`](crate::ErrorKind::TokenRevoked) when only a new grant helps,
    /// [`ErrorKind::RefreshNotSupported`](crate::ErrorKind::RefreshNotSupported) when
    /// [`can_refresh`](Self::can_refresh) is false, and transient kinds
    /// ([`ErrorKind::is_transient`](crate::ErrorKind::is_transient)) when a later try may succeed.
    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>>;
}

/// The outcome of a refresh.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// The credential is still good, or nothing newer is to be had.
    Unchanged,
    /// The next generation, made with [`Credential::renew`].
    Renewed(Credential),
}

/// Revokes credentials at the vendor.
pub trait RevocableProvider: CredentialProvider {
    /// Says what is possible for this credential, without asking the vendor.
    fn revocation(&self, credential: &CredentialInfo) -> Revocation;

    /// Revokes the credential.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with the way to do it by hand as
    /// hint, when [`revocation`](Self::revocation) is not [`Revocation::Automatic`]; a credential
    /// that the vendor no longer knows counts as revoked.
    fn revoke<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>>;
}

/// What is possible to end a credential at its vendor.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The vendor has an API for it; the text says what else ends along with the credential.
    Automatic {
        /// What the person should know before, such as other tools that share the credential.
        effect: String,
    },
    /// The person does it by hand.
    Manual {
        /// Where and how.
        instructions: String,
    },
}

/// Derives secrets that live for one run from a credential: an STS session, an installation token.
///
/// The host mints, renews, scrubs and revokes them; they are never stored.
pub trait MintingProvider: CredentialProvider {
    /// Names the secrets that a mint yields. Rules may refer to them.
    fn minted_secrets(&self) -> &[SecretName];

    /// Mints.
    ///
    /// # Errors
    ///
    /// As for [`RefreshableProvider::refresh`].
    fn mint<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
        run: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>>;

    /// Ends minted secrets before their time, where the vendor allows it.
    ///
    /// # Errors
    ///
    /// Any; the host logs it.
    fn revoke_minted<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
        minted: &'a Secrets,
    ) -> BoxFuture<'a, Result<()>> {
        let _ = (cx, credential, minted);
        Box::pin(async { Ok(()) })
    }
}

/// Secrets derived for one run.
#[derive(Clone, Debug)]
pub struct Minted {
    secrets: Secrets,
    expires_at: Option<OffsetDateTime>,
}

impl Minted {
    /// Wraps what was minted, and when it ceases to be valid.
    #[must_use]
    pub fn new(secrets: Secrets, expires_at: Option<OffsetDateTime>) -> Self {
        Self { secrets, expires_at }
    }

    /// Returns the secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns when they cease to be valid.
    #[must_use]
    pub fn expires_at(&self) -> Option<OffsetDateTime> {
        self.expires_at
    }
}

/// Is told when a run has stopped.
pub trait RunStoppedHook: Provider {
    /// Looks at a stopped run, exactly once, and returns what to keep under `provider_meta` of its
    /// `metadata.json`.
    ///
    /// # Errors
    ///
    /// Any; the host logs it and keeps nothing.
    fn on_run_stopped<'a>(
        &'a self,
        cx: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>>;
}

/// A run that has stopped.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RunStoppedContext {
    /// Its identity.
    pub run: RunId,
    /// The workspace on the host. The container could write to it: every file there is hostile.
    pub workspace: PathBuf,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// When it stopped.
    pub stopped_at: OffsetDateTime,
    /// What the agent kept in [`ContainerConfig::state`](crate::ContainerConfig::state).
    pub state: BTreeMap<String, String>,
}

impl RunStoppedContext {
    /// Describes a run that started and stopped at these times.
    #[must_use]
    pub fn new(
        run: RunId,
        workspace: PathBuf,
        started_at: OffsetDateTime,
        stopped_at: OffsetDateTime,
    ) -> Self {
        Self { run, workspace, started_at, stopped_at, state: BTreeMap::new() }
    }
}

/// Describes itself in listings.
pub trait DescribableProvider: Provider {
    /// Returns one line of text, without a full stop at its end.
    fn description(&self) -> &str;

    /// Returns where the provider comes from.
    fn source(&self) -> ProviderSource {
        ProviderSource::Builtin
    }
}

/// Where a provider comes from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderSource {
    /// It is part of this project.
    Builtin,
    /// It is somebody's own.
    Custom,
}

impl fmt::Display for ProviderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Builtin => "builtin",
            Self::Custom => "custom",
        })
    }
}
