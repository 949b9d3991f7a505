//! A proxy with a test handler, a resolver and a dialer that know loopback alone, and origins.

pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod origin;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request;
use moat_provider_core::{BoxFuture, Clock, Secret};
use moat_proxy::plane::seam::{
    Action, ConnectVerdict, ForwardPlan, Handler, NotTls, Note, RequestPlace, Verdict,
};
use moat_proxy::plane::{
    CertificateAuthority, ClientCertificate, Dialer, Limits, Proxy, ProxyBuilder, Records,
    RequestRecord, Resolver, RunHandle, RunRegistration, UpstreamTls, channel,
};
use moat_proxy::{Authority, Reason, Refusal};
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};

pub(crate) const TOKEN: &str = "run-token";

/// Real time, because real clients look at certificates.
#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Hosts of the test: a name has one address of TEST-NET-3, and only what is mapped can be dialled,
/// on loopback.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net(Arc<Mutex<NetState>>);

#[derive(Debug, Default)]
struct NetState {
    names: HashMap<String, IpAddr>,
    ports: HashMap<SocketAddr, SocketAddr>,
    resolved: Vec<String>,
    dialled: Vec<SocketAddr>,
}

impl Net {
    pub(crate) fn add(&self, host: &str, port: u16, real: SocketAddr) {
        assert!(real.ip().is_loopback());
        let mut state = self.0.lock().unwrap();
        let next = u8::try_from(state.names.len() + 1).unwrap();
        let ip =
            *state.names.entry(host.to_owned()).or_insert(Ipv4Addr::new(203, 0, 113, next).into());
        state.ports.insert((ip, port).into(), real);
    }

    /// Returns where a host really is.
    pub(crate) fn real(&self, host: &str, port: u16) -> SocketAddr {
        let state = self.0.lock().unwrap();
        state.ports[&(state.names[host], port).into()]
    }

    pub(crate) fn resolved(&self) -> Vec<String> {
        self.0.lock().unwrap().resolved.clone()
    }

    /// Forgets what was resolved.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().resolved.clear();
    }

    pub(crate) fn dials(&self) -> usize {
        self.0.lock().unwrap().dialled.len()
    }
}

impl Resolver for Net {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut state = self.0.lock().unwrap();
        state.resolved.push(host.to_owned());
        let found = state.names.get(host).copied();
        Box::pin(async move { found.map(|ip| vec![ip]).ok_or(io::ErrorKind::NotFound.into()) })
    }
}

impl Dialer for Net {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        let mut state = self.0.lock().unwrap();
        state.dialled.push(address);
        let real = state.ports.get(&address).copied();
        Box::pin(
            async move { TcpStream::connect(real.ok_or(io::ErrorKind::ConnectionRefused)?).await },
        )
    }
}

type OnConnect = dyn Fn(&Authority) -> ConnectVerdict + Send + Sync;
type OnRequest = dyn Fn(&mut request::Parts, &RequestPlace<'_>) -> Verdict + Send + Sync;

/// A handler made of closures. Without any, everything is intercepted and passes.
#[derive(Clone)]
pub(crate) struct Rules {
    connect: Arc<OnConnect>,
    request: Arc<OnRequest>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connect: Arc::new(|_| ConnectVerdict::Intercept(NotTls::Close)),
            request: Arc::new(|_, _| pass()),
        }
    }
}

impl Rules {
    pub(crate) fn on_connect(
        mut self,
        connect: impl Fn(&Authority) -> ConnectVerdict + Send + Sync + 'static,
    ) -> Self {
        self.connect = Arc::new(connect);
        self
    }

    pub(crate) fn on_request(
        mut self,
        request: impl Fn(&mut request::Parts, &RequestPlace<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.request = Arc::new(request);
        self
    }

    pub(crate) fn plan(self, plan: impl Fn() -> ForwardPlan + Send + Sync + 'static) -> Self {
        self.on_request(move |_, _| forward(plan()))
    }
}

pub(crate) fn pass() -> Verdict {
    forward(ForwardPlan::default())
}

pub(crate) fn forward(plan: ForwardPlan) -> Verdict {
    Verdict { action: Action::Forward(plan), note: Note::default() }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rules")
    }
}

impl Handler for Rules {
    fn connect(&self, authority: &Authority) -> ConnectVerdict {
        (self.connect)(authority)
    }

    fn request(&self, head: &mut request::Parts, place: &RequestPlace<'_>) -> Verdict {
        (self.request)(head, place)
    }

    fn judge_addresses(
        &self,
        authority: &Authority,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        if addresses.iter().any(IpAddr::is_loopback) {
            return Err(Refusal::new(Reason::Custom("loopback")).about("loopback is refused"));
        }
        Ok(addresses.into_iter().map(|ip| (ip, authority.port()).into()).collect())
    }
}

/// A proxy that serves one run on a TCP listener with a token.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) run: RunHandle,
    pub(crate) net: Net,
    pub(crate) address: SocketAddr,
    pub(crate) ca: Arc<CertificateAuthority>,
    pub(crate) origins: origin::OriginCa,
    pub(crate) records: Records,
}

impl World {
    pub(crate) async fn new(rules: Rules) -> Self {
        Self::with(rules, Limits::default(), |builder| builder).await
    }

    pub(crate) async fn with(
        rules: Rules,
        limits: Limits,
        change: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    ) -> Self {
        let day = Duration::from_secs(24 * 3600);
        let ca = Arc::new(CertificateAuthority::generate(RealClock.now(), day).unwrap());
        let origins = origin::OriginCa::new();
        let net = Net::default();
        let (certificate, key) = origins.issue("client");
        let mutual = Authority::parse("mutual.test", 443).unwrap();
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        let certificate =
            ClientCertificate::from_pem(mutual, certificate.as_bytes(), key.as_bytes()).unwrap();
        let (recorder, records) = channel(1024);
        let trust = UpstreamTls::empty().trust_pem(origins.pem().as_bytes()).unwrap();
        let trust = trust.client_certificate(certificate);
        let builder = Proxy::builder(Arc::new(RealClock), Arc::clone(&ca))
            .limits(limits)
            .resolver(Arc::new(net.clone()))
            .dialer(Arc::new(net.clone()))
            .upstream_tls(trust)
            .recorder(recorder);
        let proxy = change(builder).build().unwrap();
        let registration = RunRegistration::new("r1".parse().unwrap(), Arc::new(rules))
            .token(&Secret::new(TOKEN.to_owned()));
        let run = proxy.register(registration).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(proxy.serve_tcp(listener));
        Self { proxy, run, net, address, ca, origins, records }
    }

    /// Returns the next record that fits.
    pub(crate) async fn record(&mut self, fits: impl Fn(&RequestRecord) -> bool) -> RequestRecord {
        let found = async {
            loop {
                let record = self.records.recv().await.expect("the proxy lives");
                if fits(&record) {
                    return record;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("there is a record")
    }
}

/// Fails a test that hangs.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it ends in time")
}

/// The resident memory of this process now, in bytes.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
