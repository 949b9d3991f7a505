//! All ports at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{Environment, GrantContext, HostContext, Result};

use crate::{
    ConnectTo, CorporateProxy, HttpsClient, HttpsClientBuilder, LoopbackRedirects, SystemClock,
    SystemCommands, SystemEntropy, SystemEnvironment, SystemFiles, SystemTerminal,
};

/// The real ports of this machine, as the `moat` command uses them.
///
/// Nothing is connected, started or asked before a port is used.
#[derive(Clone, Debug)]
pub struct HostPorts {
    grant: GrantContext,
}

impl HostPorts {
    /// Begins with this process's environment, its corporate proxy, and what the system trusts.
    #[must_use]
    pub fn builder() -> HostPortsBuilder {
        HostPortsBuilder {
            environment: Arc::new(SystemEnvironment),
            http: HttpsClient::builder(),
            proxy: None,
            workspaces: Vec::new(),
        }
    }

    /// Returns the ports for refreshing, minting and agents.
    #[must_use]
    pub fn host_context(&self) -> HostContext {
        self.grant.host().clone()
    }

    /// Returns the ports for grants: those of the host, and the person.
    #[must_use]
    pub fn grant_context(&self) -> GrantContext {
        self.grant.clone()
    }
}

/// Collects what [`HostPorts`] are made of.
#[derive(Debug)]
pub struct HostPortsBuilder {
    environment: Arc<dyn Environment>,
    http: HttpsClientBuilder,
    proxy: Option<CorporateProxy>,
    workspaces: Vec<PathBuf>,
}

impl HostPortsBuilder {
    /// Takes the place of this process's environment, for every port.
    #[must_use]
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }

    /// Names a directory that a container can write: no program is taken from it.
    #[must_use]
    pub fn workspace(mut self, dir: impl AsRef<Path>) -> Self {
        self.workspaces.push(dir.as_ref().to_owned());
        self
    }

    /// Trusts the authorities of a PEM file beside those of the system.
    ///
    /// # Errors
    ///
    /// Those of [`HttpsClientBuilder::upstream_ca`].
    pub fn upstream_ca(mut self, file: impl AsRef<Path>) -> Result<Self> {
        self.http = self.http.upstream_ca(file)?;
        Ok(self)
    }

    /// Sends connections for some hosts elsewhere.
    #[must_use]
    pub fn connect_to(mut self, rules: impl IntoIterator<Item = ConnectTo>) -> Self {
        self.http = self.http.connect_to(rules);
        self
    }

    /// Takes the place of the proxy that the environment names.
    #[must_use]
    pub fn proxy(mut self, proxy: CorporateProxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Makes the ports.
    ///
    /// # Errors
    ///
    /// Those of [`HttpsClientBuilder::build`] and [`CorporateProxy::from_environment`].
    pub fn build(self) -> Result<HostPorts> {
        let Self { environment, http, proxy, workspaces } = self;
        let proxy = match proxy {
            Some(proxy) => Some(proxy),
            None => CorporateProxy::from_environment(&*environment)?,
        };
        let commands = SystemCommands::new(Arc::clone(&environment));
        let commands = workspaces.iter().fold(commands, SystemCommands::workspace);
        let host = HostContext::builder(Arc::new(SystemClock), Arc::new(SystemEntropy))
            .http(Arc::new(http.proxy(proxy).build()?))
            .commands(Arc::new(commands.clone()))
            .files(Arc::new(SystemFiles::new(Arc::clone(&environment))))
            .build();
        let grant = GrantContext::builder(host)
            .environment(environment)
            .terminal(Arc::new(SystemTerminal::new(commands)))
            .redirects(Arc::new(LoopbackRedirects))
            .build();
        Ok(HostPorts { grant })
    }
}
