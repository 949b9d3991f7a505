//! The proxy as a library sees it: one process, many runs.

use std::fmt;
use std::sync::Arc;

use moat_provider_core::Clock;
use rustls::crypto::CryptoProvider;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::plane::attempts::Attempts;
use crate::plane::ca::CertificateAuthority;
use crate::plane::error::SetupError;
use crate::plane::identity::Runs;
use crate::plane::leaf::Leaves;
use crate::plane::limits::Limits;
use crate::plane::listener::{self, Admission};
use crate::plane::record::Recorder;
use crate::plane::run::{RunHandle, RunRegistration};
use crate::plane::upstream::{
    ConnectTo, Dialer, Resolver, SystemResolver, TcpDialer, Tls, Upstream, UpstreamProxy,
    UpstreamTls,
};

/// The data plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Shared>);

/// What all runs share.
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) runs: Runs,
    pub(crate) attempts: Attempts,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) stop: CancellationToken,
    provider: Arc<CryptoProvider>,
}

impl Shared {
    pub(crate) fn leaves_of(&self, authority: Arc<CertificateAuthority>) -> Leaves {
        let (provider, clock) = (Arc::clone(&self.provider), Arc::clone(&self.clock));
        Leaves::new(authority, provider, clock, self.limits.leaves)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Begins a proxy with the certificate authority for runs that have none of their own.
    #[must_use]
    pub fn builder(clock: Arc<dyn Clock>, authority: Arc<CertificateAuthority>) -> ProxyBuilder {
        ProxyBuilder {
            clock,
            authority,
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver),
            dialer: Arc::new(TcpDialer),
            connect_to: Vec::new(),
            upstream_proxy: None,
            upstream_tls: None,
            recorder: None,
        }
    }

    /// Registers a run. When this returns, its rules apply, and its token may be handed out.
    ///
    /// # Errors
    ///
    /// When the token belongs to another run.
    pub fn register(&self, registration: RunRegistration) -> Result<RunHandle, SetupError> {
        let (run, token) = registration.build(&self.0);
        if let Some(token) = token {
            self.0.runs.insert(token, Arc::clone(&run))?;
        }
        Ok(RunHandle::new(run, token))
    }

    /// Serves clients that name their run with its token, until the proxy is shut down. The future
    /// is to be spawned.
    pub fn serve_tcp(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + use<> {
        listener::serve(Arc::clone(&self.0), listener, Admission::Token)
    }

    /// Serves clients of one run, until it stops. Whoever can reach the listener is the run.
    pub fn serve_run_tcp(
        &self,
        listener: TcpListener,
        run: &RunHandle,
    ) -> impl Future<Output = ()> + Send + use<> {
        let admission = Admission::Run(Arc::clone(run.run()));
        listener::serve(Arc::clone(&self.0), listener, admission)
    }

    /// Serves clients of one run, until it stops. Whoever can open the socket is the run.
    pub fn serve_unix(
        &self,
        listener: UnixListener,
        run: &RunHandle,
    ) -> impl Future<Output = ()> + Send + use<> {
        let admission = Admission::Run(Arc::clone(run.run()));
        listener::serve(Arc::clone(&self.0), listener, admission)
    }

    /// Ends every listener and every run.
    pub fn shut_down(&self) {
        self.0.stop.cancel();
    }
}

/// Collects what a [`Proxy`] needs.
#[derive(Debug)]
pub struct ProxyBuilder {
    clock: Arc<dyn Clock>,
    authority: Arc<CertificateAuthority>,
    limits: Limits,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    connect_to: Vec<ConnectTo>,
    upstream_proxy: Option<UpstreamProxy>,
    upstream_tls: Option<UpstreamTls>,
    recorder: Option<Recorder>,
}

impl ProxyBuilder {
    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how names are resolved; by the system without this.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets how addresses are dialled; with TCP without this.
    #[must_use]
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = dialer;
        self
    }

    /// Sends connections to one host and port elsewhere.
    #[must_use]
    pub fn connect_to(mut self, rule: ConnectTo) -> Self {
        self.connect_to.push(rule);
        self
    }

    /// Reaches hosts through another proxy.
    #[must_use]
    pub fn upstream_proxy(mut self, proxy: UpstreamProxy) -> Self {
        self.upstream_proxy = Some(proxy);
        self
    }

    /// Sets what is trusted; what the system trusts without this.
    #[must_use]
    pub fn upstream_tls(mut self, tls: UpstreamTls) -> Self {
        self.upstream_tls = Some(tls);
        self
    }

    /// Sets where records go.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Finishes the proxy.
    ///
    /// # Errors
    ///
    /// When there is nothing to trust, or TLS cannot be set up with it.
    pub fn build(self) -> Result<Proxy, SetupError> {
        let limits = Arc::new(self.limits);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = match self.upstream_tls {
            Some(tls) => tls,
            None => UpstreamTls::system()?,
        };
        let upstream = Upstream {
            resolver: self.resolver,
            dialer: self.dialer,
            connect_to: self.connect_to,
            proxy: self.upstream_proxy,
            tls: Tls::new(tls, &provider)?,
            limits: Arc::clone(&limits),
        };
        let leaves = Leaves::new(
            self.authority,
            Arc::clone(&provider),
            Arc::clone(&self.clock),
            limits.leaves,
        );
        Ok(Proxy(Arc::new(Shared {
            limits,
            clock: self.clock,
            upstream: Arc::new(upstream),
            leaves: Arc::new(leaves),
            runs: Runs::default(),
            attempts: Attempts::default(),
            recorder: self.recorder,
            stop: CancellationToken::new(),
            provider,
        })))
    }
}
