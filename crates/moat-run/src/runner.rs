//! What a host has once for all its runs.

use std::fmt;
use std::sync::Arc;

use moat_provider_core::{HostContext, Registry};
use moat_proxy::plane::{ConnectTo, Dialer, Resolver, UpstreamProxy, UpstreamTls};
use moat_refresh::Refresher;
use moat_store::CredentialStore;

use crate::StateDir;

/// What a host has once for all its runs. Cheap to clone.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use moat_provider_core::{HostContext, Registry};
/// # use moat_store::CredentialStore;
/// # use moat_run::{RunRequest, Runner, StateDir};
/// # async fn example(registry: Registry, store: Arc<dyn CredentialStore>, cx: HostContext)
/// #     -> moat_run::Result<()> {
/// let runner = Runner::builder(registry, store, cx, StateDir::new("/var/lib/example")).build();
/// let mut request = RunRequest::new("/home/me/project", vec!["gh".into(), "pr".into(), "list".into()]);
/// request.grants.push("github".parse()?);
/// let run = runner.prepare(request).await?;
/// // Start a container of your own from `run.spec()`, wait for it, and then:
/// let stopped = run.stopped(0).await;
/// # let _ = stopped;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runner(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) registry: Registry,
    pub(crate) store: Arc<dyn CredentialStore>,
    pub(crate) refresher: Refresher,
    pub(crate) cx: HostContext,
    pub(crate) state: StateDir,
    pub(crate) upstream: Upstream,
}

/// How hosts are reached.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    pub(crate) connect_to: Vec<ConnectTo>,
    pub(crate) tls: Option<UpstreamTls>,
    /// What the container trusts beside the host's roots, as PEM.
    pub(crate) trusted: String,
    pub(crate) proxy: Option<UpstreamProxy>,
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
    pub(crate) dialer: Option<Arc<dyn Dialer>>,
}

impl Runner {
    /// Begins with what every run needs. Nothing is opened, and no task is started before the
    /// first run.
    #[must_use]
    pub fn builder(
        registry: Registry,
        store: Arc<dyn CredentialStore>,
        cx: HostContext,
        state: StateDir,
    ) -> RunnerBuilder {
        RunnerBuilder { registry, store, cx, state, refresher: None, upstream: Upstream::default() }
    }

    /// Returns the directory in which runs keep what is theirs.
    #[must_use]
    pub fn state(&self) -> &StateDir {
        &self.0.state
    }

    /// Returns what keeps credentials fresh.
    #[must_use]
    pub fn refresher(&self) -> &Refresher {
        &self.0.refresher
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("state", &self.0.state).finish_non_exhaustive()
    }
}

/// Collects what a [`Runner`] needs.
pub struct RunnerBuilder {
    registry: Registry,
    store: Arc<dyn CredentialStore>,
    cx: HostContext,
    state: StateDir,
    refresher: Option<Refresher>,
    upstream: Upstream,
}

impl RunnerBuilder {
    /// Shares what keeps credentials fresh with the rest of the program.
    #[must_use]
    pub fn refresher(mut self, refresher: Refresher) -> Self {
        self.refresher = Some(refresher);
        self
    }

    /// Connects to another address for some hosts, as curl's `--connect-to` does.
    #[must_use]
    pub fn connect_to(mut self, rules: impl IntoIterator<Item = ConnectTo>) -> Self {
        self.upstream.connect_to.extend(rules);
        self
    }

    /// Has containers trust these authorities too, as PEM: those of hosts whose TLS is not looked
    /// into, so that the container verifies them itself.
    #[must_use]
    pub fn trusted_pem(mut self, pem: impl Into<String>) -> Self {
        self.upstream.trusted = pem.into();
        self
    }

    /// Sets what hosts are verified with; the system's roots without this.
    #[must_use]
    pub fn upstream_tls(mut self, tls: UpstreamTls) -> Self {
        self.upstream.tls = Some(tls);
        self
    }

    /// Reaches hosts through another proxy.
    #[must_use]
    pub fn upstream_proxy(mut self, proxy: UpstreamProxy) -> Self {
        self.upstream.proxy = Some(proxy);
        self
    }

    /// Sets how names are resolved; by the system without this.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.upstream.resolver = Some(resolver);
        self
    }

    /// Sets how addresses are dialled; over TCP without this.
    #[must_use]
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.upstream.dialer = Some(dialer);
        self
    }

    /// Finishes.
    #[must_use]
    pub fn build(self) -> Runner {
        let Self { registry, store, cx, state, refresher, upstream } = self;
        let refresher = refresher
            .unwrap_or_else(|| Refresher::new(registry.clone(), Arc::clone(&store), cx.clone()));
        Runner(Arc::new(Inner { registry, store, refresher, cx, state, upstream }))
    }
}

impl fmt::Debug for RunnerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerBuilder").field("state", &self.state).finish_non_exhaustive()
    }
}
