//! A proxy between a client on a Unix socket and hosts on loopback, made anew for each input.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use http::header::AUTHORIZATION;
use moat_provider_core::{
    Alphabet, BoxFuture, Clock, CredentialKey, CredentialRule, HeaderTemplate, PlaceholderKey,
    PlaceholderShape, Position, ProxyConfigurer, ProxyRules, RunContext, Secret, SecretName,
    SecretRef, Substitution, Target,
};
use moat_proxy::engine::Generation;
use moat_proxy::plane::{
    CertificateAuthority, Dialer, Proxy, Resolver, RunHandle, RunRegistration, UpstreamTls,
};
use moat_proxy::{Mode, Policy, RunRules};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The host that gets the secret.
pub(crate) const HOST: &str = "api.vendor.test";
/// A host that gets none.
pub(crate) const OTHER: &str = "other.test";
/// What only [`HOST`] may see, and only as a bearer token or in a form.
pub(crate) const SECRET: &str = "ven_Zq7fuzzedSecretOfTheWireThatNobodySees00";
/// When nothing comes for so long, nothing will: what the proxy holds back it gives up before.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a stopped run may keep anything open.
const STOP: Duration = Duration::from_secs(2);

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// What is kept from input to input: keys, certificates, and what listens for signals.
pub(crate) struct World {
    _signals: Runtime,
    authority: Arc<CertificateAuthority>,
    /// The certificate that hosts are trusted by.
    trust: String,
    acceptors: [TlsAcceptor; 2],
    connectors: [TlsConnector; 2],
    pub(crate) placeholder: String,
    next: AtomicU64,
}

/// Which HTTP version both sides of a handshake name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    One,
    Two,
}

impl World {
    fn new() -> Self {
        abort_on_panic();
        let day = Duration::from_secs(24 * 3600);
        let make = || CertificateAuthority::generate(RealClock.now(), day).expect("an authority");
        let (authority, origins) = (make(), make());
        let acceptors = [Alpn::One, Alpn::Two].map(|alpn| acceptor(&origins, alpn));
        let connectors = [Alpn::One, Alpn::Two].map(|alpn| connector(&authority, alpn));
        let signals = runtime();
        take_over_broken_pipes(&signals);
        Self {
            _signals: signals,
            authority: Arc::new(authority),
            trust: origins.certificate_pem(),
            acceptors,
            connectors,
            placeholder: run().placeholder(&grant(), "token", &shape()).expect("one").to_string(),
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn get() -> &'static Self {
        &WORLD
    }

    /// Runs one input to its end.
    ///
    /// The runtime goes with it, and all tasks and listeners of the input.
    pub(crate) fn run<R>(&self, scene: impl Future<Output = R>) -> R {
        runtime().block_on(scene)
    }

    pub(crate) fn acceptor(&self, alpn: Alpn) -> TlsAcceptor {
        self.acceptors[alpn as usize].clone()
    }

    /// Opens a proxy with one run, before which hosts are reached through `net`.
    pub(crate) async fn open(&self, net: Net) -> Stage {
        let trust = UpstreamTls::empty().trust_pem(self.trust.as_bytes());
        let proxy = Proxy::builder(Arc::new(RealClock), Arc::clone(&self.authority))
            .resolver(Arc::new(net.clone()))
            .dialer(Arc::new(net))
            .upstream_tls(trust.expect("a certificate"))
            .build()
            .expect("a proxy");
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let registration = RunRegistration::new(run().id().clone(), Arc::new(rules()));
        let handle = proxy.register(registration).expect("a run");
        let name = format!("moat-fuzz-{}-{number}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        let listener = UnixListener::from_std(listener).expect("a socket");
        tokio::spawn(proxy.serve_unix(listener, &handle));
        Stage { handle, address }
    }
}

/// One run of the proxy.
pub(crate) struct Stage {
    handle: RunHandle,
    address: std::os::unix::net::SocketAddr,
}

impl Stage {
    pub(crate) fn socket(&self) -> UnixStream {
        let socket =
            std::os::unix::net::UnixStream::connect_addr(&self.address).expect("it listens");
        socket.set_nonblocking(true).expect("a socket");
        UnixStream::from_std(socket).expect("a socket")
    }

    /// Opens a tunnel with TLS in it.
    pub(crate) async fn tls(&self, alpn: Alpn) -> client::TlsStream<UnixStream> {
        let mut socket = self.socket();
        let request = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("it is taken");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        let name = ServerName::try_from(HOST).expect("a name");
        let connector = World::get().connectors[alpn as usize].clone();
        connector.connect(name, socket).await.expect("a handshake")
    }

    /// Ends the run, and with it all that it has open: the client sees the end.
    pub(crate) async fn close(self, client: &mut (impl AsyncReadExt + Unpin)) {
        self.handle.stop().await;
        let end = async { while let Ok(1..) = client.read(&mut [0; 1024]).await {} };
        tokio::time::timeout(STOP, end).await.expect("a stopped run closes what is open");
    }
}

/// Sends bytes, and reads until nothing more comes, then closes one half and reads on.
pub(crate) async fn converse<S>(stream: &mut S, pieces: Vec<bytes::Bytes>) -> Vec<u8>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut answer = Vec::new();
    {
        let write = async {
            for piece in pieces {
                if writer.write_all(&piece).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let read = until_silent(&mut reader, &mut answer);
        tokio::join!(write, read);
    }
    _ = writer.shutdown().await;
    until_silent(&mut reader, &mut answer).await;
    answer
}

/// Reads to the end, or until nothing comes: time stands still as long as there is work to do.
async fn until_silent(reader: &mut (impl AsyncReadExt + Unpin), answer: &mut Vec<u8>) {
    while let Ok(Ok(1..)) = tokio::time::timeout(SILENCE, reader.read_buf(answer)).await {}
}

/// A name has one address of TEST-NET-3, and leads to loopback.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net(Arc<Mutex<BTreeMap<SocketAddr, SocketAddr>>>);

impl Net {
    fn address(host: &str) -> Option<IpAddr> {
        let last = match host {
            HOST => 1,
            OTHER => 2,
            _ => return None,
        };
        Some(Ipv4Addr::new(203, 0, 113, last).into())
    }

    /// Opens a port of a host.
    pub(crate) async fn listen(&self, host: &str, port: u16) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let real = listener.local_addr().expect("a port");
        let address = Self::address(host).expect("a known host");
        self.0.lock().expect("no panic").insert((address, port).into(), real);
        listener
    }
}

impl Resolver for Net {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let found = Self::address(host);
        Box::pin(async move { found.map(|ip| vec![ip]).ok_or(io::ErrorKind::NotFound.into()) })
    }
}

impl Dialer for Net {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        let real = self.0.lock().expect("no panic").get(&address).copied();
        Box::pin(
            async move { TcpStream::connect(real.ok_or(io::ErrorKind::ConnectionRefused)?).await },
        )
    }
}

/// Accepts TLS connections of a host, each served by a task.
pub(crate) fn serve<F, R>(listener: TcpListener, alpn: Alpn, each: F)
where
    F: Fn(server::TlsStream<TcpStream>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let acceptor = World::get().acceptor(alpn);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, each) = (acceptor.clone(), each.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    each(stream).await;
                }
            });
        }
    });
}

fn grant() -> CredentialKey {
    "vendor".parse().expect("a key")
}

fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("ven_", Alphabet::Alphanumeric, 40)
}

fn key() -> PlaceholderKey {
    PlaceholderKey::from_bytes([5; 32])
}

fn run() -> Arc<RunContext> {
    let home = "/home/agent".parse().expect("a path");
    Arc::new(RunContext::builder("fuzz".parse().expect("an id"), home, key()).build())
}

fn rules() -> RunRules {
    let (run, grant) = (run(), grant());
    let placeholder = run.placeholder(&grant, "token", &shape()).expect("a placeholder");
    let target = Target::host(HOST).expect("a host");
    let secret = SecretRef::token(&grant);
    let mut rules = ProxyRules::default();
    let bearer = HeaderTemplate::Bearer;
    rules.credential(
        CredentialRule::new(target.clone(), AUTHORIZATION, bearer, secret.clone())
            .placeholder(placeholder.clone()),
    );
    let position = Position::FormField("token".into());
    rules.substitute(Substitution::new(target, position, placeholder, secret).body_limit(1024));
    let secret = Secret::new(SECRET.to_owned());
    let secrets = [(SecretName::TOKEN, secret)].into_iter().collect();
    let secrets = BTreeMap::from([(grant, secrets)]);
    let generation = Generation::new(&rules, &[], &secrets, key(), Mode::Permissive);
    let policy = Policy::builder(Mode::Permissive)
        .allow("203.0.113.0/24")
        .and_then(|policy| policy.deny(&format!("{HOST}/forbidden/**")))
        .expect("entries")
        .build();
    let generation = generation.expect("a generation");
    RunRules::builder(run, Arc::new(RealClock), policy, generation).build().expect("rules")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn protocols(alpn: Alpn) -> Vec<Vec<u8>> {
    vec![match alpn {
        Alpn::One => b"http/1.1".to_vec(),
        Alpn::Two => b"h2".to_vec(),
    }]
}

fn acceptor(origins: &CertificateAuthority, alpn: Alpn) -> TlsAcceptor {
    let key = KeyPair::from_pem(&origins.key_pem()).expect("a key");
    let issuer = Issuer::from_ca_cert_der(origins.certificate(), key).expect("an authority");
    let leaf_key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let leaf = params.signed_by(&leaf_key, &issuer).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key.into())
        .expect("a certificate");
    config.alpn_protocols = protocols(alpn);
    TlsAcceptor::from(Arc::new(config))
}

fn connector(authority: &CertificateAuthority, alpn: Alpn) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols(alpn);
    TlsConnector::from(Arc::new(config))
}

/// A task that panics must not go unnoticed. libFuzzer's hook aborts as well.
fn abort_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        std::process::abort();
    }));
}

/// Time stands still in it while there is work to do.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().expect("a runtime")
}

/// libFuzzer's `main` leaves SIGPIPE as it is, and the first socket that a peer closes would end
/// the process. A signal that is listened for ends nothing.
fn take_over_broken_pipes(runtime: &Runtime) {
    let _entered = runtime.enter();
    let listening = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::pipe());
    drop(listening.expect("a handler"));
}

/// Real time, because certificates are looked at.
#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
