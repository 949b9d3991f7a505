//! What a provider is expected to be.

use std::fmt;
use std::sync::Arc;

use moat_provider_core::{
    ContainerPath, Credential, CredentialKey, GrantRequest, HostFile, PlaceholderShape, Provider,
};

use crate::{Canary, Ports, Vendor};

/// A capability of a provider.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// [`Provider::as_credential`]
    Credential,
    /// [`Provider::as_agent`]
    Agent,
    /// [`Provider::as_endpoint`]
    Endpoint,
    /// [`Provider::as_refreshable`]
    Refreshable,
    /// [`Provider::as_revocable`]
    Revocable,
    /// [`Provider::as_minting`]
    Minting,
    /// [`Provider::as_run_stopped_hook`]
    RunStoppedHook,
    /// [`Provider::as_diagnosable`]
    Diagnosable,
    /// [`Provider::as_describable`]
    Describable,
}

/// What a provider is expected to be, and what a test gives it.
///
/// Every closure may be called several times, with another [`Canary`] each time: the token of that
/// call.
#[must_use]
pub struct Expect {
    pub(super) capabilities: Vec<Capability>,
    pub(super) aliases: Vec<String>,
    pub(super) canary: Box<dyn Fn() -> Canary>,
    pub(super) samples: Vec<SampleMaker>,
    pub(super) grants: Vec<GrantSource>,
    pub(super) refresh: Option<PortsMaker>,
    pub(super) vendor: Option<VendorMaker>,
    pub(super) host_files: Vec<(HostFile, TextMaker)>,
    pub(super) issues_nothing: bool,
    pub(super) shapes: Vec<PlaceholderShape>,
    pub(super) home: Option<ContainerPath>,
}

pub(super) type SampleMaker = Box<dyn Fn(&Canary) -> Credential>;
pub(super) type PortsMaker = Box<dyn Fn(&Canary, Ports) -> Ports>;
pub(super) type VendorMaker = Box<dyn Fn(&Canary) -> Arc<dyn Vendor>>;
pub(super) type TextMaker = Box<dyn Fn(&Canary) -> String>;

/// A way to grant.
pub(super) struct GrantSource {
    pub(super) name: String,
    pub(super) request: Option<GrantRequest>,
    pub(super) ports: PortsMaker,
}

impl GrantSource {
    pub(super) fn request(&self, provider: &dyn Provider) -> GrantRequest {
        let unqualified = || GrantRequest::new(CredentialKey::new(provider.name().clone()));
        self.request.clone().unwrap_or_else(unqualified)
    }
}

impl Expect {
    /// Begins with a provider of these capabilities, exactly.
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self {
            capabilities: capabilities.into_iter().collect(),
            aliases: Vec::new(),
            canary: Box::new(Canary::new),
            samples: Vec::new(),
            grants: Vec::new(),
            refresh: None,
            vendor: None,
            host_files: Vec::new(),
            issues_nothing: false,
            shapes: Vec::new(),
            home: None,
        }
    }

    /// Adds other names under which the provider is registered.
    pub fn aliases<I>(mut self, aliases: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.aliases.extend(aliases.into_iter().map(Into::into));
        self
    }

    /// Sets how tokens are drawn, for a provider that looks at their shape; [`Canary::new`] without
    /// this.
    pub fn canary(mut self, draw: impl Fn() -> Canary + 'static) -> Self {
        self.canary = Box::new(draw);
        self
    }

    /// Adds a credential, with the canary as its token or among its secrets. What grants yield is
    /// checked in the same way; samples are for the kinds of credentials that no grant here yields.
    pub fn sample(mut self, sample: impl Fn(&Canary) -> Credential + 'static) -> Self {
        self.samples.push(Box::new(sample));
        self
    }

    /// Adds a way to grant the unqualified credential. `source` names it in messages, `ports` puts
    /// the canary where the provider finds it: into a variable, an answer, the output of a command.
    pub fn grant_from(
        self,
        source: &str,
        ports: impl Fn(&Canary, Ports) -> Ports + 'static,
    ) -> Self {
        self.add_grant(source, None, ports)
    }

    /// Adds a way to grant like [`grant_from`](Self::grant_from), with a request of its own.
    pub fn grant_request_from(
        self,
        request: GrantRequest,
        source: &str,
        ports: impl Fn(&Canary, Ports) -> Ports + 'static,
    ) -> Self {
        self.add_grant(source, Some(request), ports)
    }

    fn add_grant(
        mut self,
        source: &str,
        request: Option<GrantRequest>,
        ports: impl Fn(&Canary, Ports) -> Ports + 'static,
    ) -> Self {
        self.grants.push(GrantSource { name: source.to_owned(), request, ports: Box::new(ports) });
        self
    }

    /// Puts the canary where a refresh finds it, when it does not come from the vendor alone.
    pub fn refresh_from(mut self, ports: impl Fn(&Canary, Ports) -> Ports + 'static) -> Self {
        self.refresh = Some(Box::new(ports));
        self
    }

    /// Sets the vendor, which knows the canary as a valid token. It answers grant, refresh, mint and
    /// revocation.
    ///
    /// What it mints is not the canary: an endpoint may hand a minted secret to the container, and
    /// never a stored one.
    pub fn vendor<V: Vendor + 'static>(mut self, vendor: impl Fn(&Canary) -> V + 'static) -> Self {
        self.vendor = Some(Box::new(move |canary| Arc::new(vendor(canary))));
        self
    }

    /// Adds what stands in a host file, with the canary among it: none of it may reach the
    /// container.
    pub fn host_file(
        mut self,
        file: &HostFile,
        contents: impl Fn(&Canary) -> String + 'static,
    ) -> Self {
        self.host_files.push((file.clone(), Box::new(contents)));
        self
    }

    /// Expects the provider to state that its vendor has no endpoint that issues credentials.
    pub fn no_issuing_endpoints(mut self) -> Self {
        self.issues_nothing = true;
        self
    }

    /// Adds a shape that placeholders may have; without one, every shape will do.
    pub fn placeholder_shape(mut self, shape: PlaceholderShape) -> Self {
        self.shapes.push(shape);
        self
    }

    /// Sets the home directory in the container; `/home/moatuser` without this.
    pub fn home(mut self, home: &ContainerPath) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// Puts the vendor in place, if there is one.
    pub(super) fn with_vendor(&self, canary: &Canary, ports: Ports) -> Ports {
        match &self.vendor {
            Some(vendor) => ports.with_vendor(vendor(canary)),
            None => ports,
        }
    }

    /// Whether a capability was declared.
    pub(super) fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect")
            .field("capabilities", &self.capabilities)
            .field("aliases", &self.aliases)
            .finish_non_exhaustive()
    }
}
