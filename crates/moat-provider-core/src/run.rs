//! One run, as the pure methods of providers see it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use crate::text::print_as_text;
use crate::{
    ContainerPath, CredentialInfo, CredentialKey, Error, ErrorKind, HostFile, Placeholder,
    PlaceholderKey, PlaceholderShape, ProviderName, Result, Secret,
};

/// The identity of a run: 1 to 40 lower-case ASCII letters, digits and hyphens.
///
/// Short and plain enough for file names, host names and the session names of vendors.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&id.len()) && id.bytes().all(allowed) && !id.starts_with('-') {
            Ok(Self(id.into()))
        } else {
            Err(Error::invalid(format!(
                "{id:?} is not a run id: 1 to 40 lower-case letters, digits and hyphens"
            )))
        }
    }
}

print_as_text!(RunId);

/// One execution in a container with a set of grants.
///
/// Plain data: the same values give the same placeholders, rules and staging (law L4), also in
/// another process. It stays the same while credentials are renewed.
#[derive(Clone, Debug)]
pub struct RunContext {
    id: RunId,
    home: ContainerPath,
    workspace: ContainerPath,
    endpoint_base: Option<String>,
    grants: Vec<CredentialInfo>,
    defaults: BTreeSet<CredentialKey>,
    host_files: BTreeMap<String, Secret>,
    key: PlaceholderKey,
}

impl RunContext {
    /// Begins the context of a run whose home directory in the container is `home`.
    #[must_use]
    pub fn builder(id: RunId, home: ContainerPath, key: PlaceholderKey) -> RunContextBuilder {
        RunContextBuilder(Self {
            id,
            workspace: home.clone(),
            home,
            endpoint_base: None,
            grants: Vec::new(),
            defaults: BTreeSet::new(),
            host_files: BTreeMap::new(),
            key,
        })
    }

    /// Returns the run's identity.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Returns the home directory inside the container.
    #[must_use]
    pub fn home(&self) -> &ContainerPath {
        &self.home
    }

    /// Returns the directory inside the container in which work starts.
    #[must_use]
    pub fn workspace(&self) -> &ContainerPath {
        &self.workspace
    }

    /// Returns every grant of the run, in the order in which the person named them.
    #[must_use]
    pub fn grants(&self) -> &[CredentialInfo] {
        &self.grants
    }

    /// Iterates over one provider's grants, in the order in which the person named them.
    pub fn grants_of(&self, provider: &ProviderName) -> impl Iterator<Item = &CredentialInfo> {
        self.grants.iter().filter(move |grant| grant.key().provider() == provider)
    }

    /// Whether the person made this grant the default where several could serve a request that
    /// carries no credential at all (law L3).
    #[must_use]
    pub fn is_default(&self, grant: &CredentialKey) -> bool {
        self.defaults.contains(grant)
    }

    /// Returns what stood in a host file that the provider asked for, at the start of the run.
    ///
    /// It may hold secrets of the person; what is staged from it is chosen key by key.
    #[must_use]
    pub fn host_file(&self, file: &HostFile) -> Option<&Secret> {
        self.host_files.get(file.name())
    }

    /// Returns the placeholder of a grant under a label.
    ///
    /// Labels tell a grant's secrets apart; the secret's name is a good label. The shape must not
    /// depend on what a refresh changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the shape leaves no room for the tag.
    pub fn placeholder(
        &self,
        grant: &CredentialKey,
        label: &str,
        shape: &PlaceholderShape,
    ) -> Result<Placeholder> {
        self.key.mint(&self.id, grant, label, shape)
    }

    /// Returns the URL at which the container reaches an endpoint of a grant.
    ///
    /// `path` is one that the provider registers with its [`EndpointRouter`](crate::EndpointRouter).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PortMissing`] when the host serves no endpoints to this run.
    pub fn endpoint_url(&self, grant: &CredentialKey, path: &str) -> Result<String> {
        match &self.endpoint_base {
            Some(base) => Ok(format!("{base}/{grant}{path}")),
            None => Err(Error::new(
                ErrorKind::PortMissing,
                format!("the host serves no endpoints to this run, which {grant} needs"),
            )),
        }
    }
}

/// Collects what a [`RunContext`] holds.
#[derive(Debug)]
pub struct RunContextBuilder(RunContext);

impl RunContextBuilder {
    /// Sets the directory in which work starts; the home directory without this.
    #[must_use]
    pub fn workspace(mut self, workspace: ContainerPath) -> Self {
        self.0.workspace = workspace;
        self
    }

    /// Sets where the container reaches endpoints: a URL without a slash at its end.
    #[must_use]
    pub fn endpoint_base(mut self, url: impl Into<String>) -> Self {
        self.0.endpoint_base = Some(url.into());
        self
    }

    /// Adds a grant.
    #[must_use]
    pub fn grant(mut self, grant: CredentialInfo) -> Self {
        self.0.grants.push(grant);
        self
    }

    /// Makes a grant a default; see [`RunContext::is_default`].
    #[must_use]
    pub fn default_grant(mut self, grant: CredentialKey) -> Self {
        self.0.defaults.insert(grant);
        self
    }

    /// Adds what stands in a host file that a provider asked for.
    #[must_use]
    pub fn host_file(mut self, file: &HostFile, contents: Secret) -> Self {
        self.0.host_files.insert(file.name().to_owned(), contents);
        self
    }

    /// Finishes the context.
    #[must_use]
    pub fn build(self) -> RunContext {
        self.0
    }
}
