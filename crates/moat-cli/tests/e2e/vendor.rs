//! Vendors on loopback: one server for all of their hosts, and what arrived at it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use moat_host::SystemClock;
use moat_provider_core::{BoxFuture, Clock};
use moat_provider_testkit::Canary;
use moat_proxy::plane::CertificateAuthority;
use rcgen::{Certificate, CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// One vendor, as its clients see it.
pub(crate) trait Double: Send + Sync + 'static {
    /// Returns the hosts that lead here.
    fn hosts(&self) -> &[&str];

    /// Returns the secrets that nothing in the sandbox may know.
    fn canaries(&self) -> Vec<&Canary>;

    /// Says whose request it is: exactly one credential, in its own place.
    fn account(&self, head: &Parts) -> Option<&'static str>;

    /// Answers; whoever has no account is refused as the vendor does it.
    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply>;
}

/// A host that has nothing to do with any grant; it refuses nobody, and tells what it was sent.
pub(crate) const OTHER: &str = "elsewhere.test";

struct Elsewhere;

impl Double for Elsewhere {
    fn hosts(&self) -> &[&str] {
        &[OTHER]
    }

    fn canaries(&self) -> Vec<&Canary> {
        Vec::new()
    }

    fn account(&self, _: &Parts) -> Option<&'static str> {
        None
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        let sent = field(arrival.head(), AUTHORIZATION.as_str());
        Box::pin(async move { text(200, format!("authorization: {sent:?}\n")) })
    }
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
    /// Whose credential it carried.
    pub(crate) account: Option<&'static str>,
    /// What was sent, as far as the double read it with [`Arrival::body`].
    pub(crate) body: String,
}

/// A request that a double is about to answer.
pub(crate) struct Arrival {
    request: Request<Incoming>,
    host: String,
    account: Option<&'static str>,
    server: Arc<Inner>,
    /// Where it stands in what was seen.
    number: usize,
}

impl Arrival {
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn path(&self) -> &str {
        self.request.uri().path()
    }

    pub(crate) fn account(&self) -> Option<&'static str> {
        self.account
    }

    pub(crate) fn head(&self) -> &Request<Incoming> {
        &self.request
    }

    /// Reads the body, and remembers it.
    pub(crate) async fn body(self) -> Bytes {
        let sent = body(self.request).await;
        let text = String::from_utf8_lossy(&sent).into_owned();
        self.server.seen.lock().unwrap()[self.number].body = text;
        sent
    }

    /// Returns the request, for a double that streams or upgrades.
    pub(crate) fn into_request(self) -> Request<Incoming> {
        self.request
    }
}

/// The server of all vendors.
#[derive(Clone)]
pub(crate) struct Vendor(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    authority: CertificateAuthority,
    doubles: Vec<Arc<dyn Double>>,
    seen: Mutex<Vec<Seen>>,
    is_revoked: AtomicBool,
}

impl Vendor {
    /// Serves the hosts, for as long as the test's runtime lives.
    pub(crate) async fn start(mut doubles: Vec<Arc<dyn Double>>) -> Self {
        doubles.push(Arc::new(Elsewhere));
        let now = SystemClock.now();
        let day = Duration::from_secs(24 * 3600);
        let authority = CertificateAuthority::generate(now, day).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            authority,
            doubles,
            seen: Mutex::default(),
            is_revoked: AtomicBool::new(false),
        }));
        let acceptor = TlsAcceptor::from(configuration(&vendor.0.authority, vendor.hosts()));
        let serving = vendor.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, vendor) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request| {
                        let vendor = vendor.clone();
                        async move { Ok::<_, Infallible>(vendor.answer(request).await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    _ = builder.serve_connection_with_upgrades(TokioIo::new(tls), service).await;
                });
            }
        });
        vendor
    }

    /// Returns the certificate of the authority behind the hosts.
    pub(crate) fn authority(&self) -> String {
        self.0.authority.certificate_pem()
    }

    /// Returns a certificate of that authority and its key, as PEM, for a server of a test's own.
    pub(crate) fn certificate(&self, host: &str) -> (String, String) {
        let (leaf, key) = leaf(&self.0.authority, vec![host.to_owned()]);
        (leaf.pem(), key.serialize_pem())
    }

    fn hosts(&self) -> Vec<String> {
        let hosts = self.0.doubles.iter().flat_map(|double| double.hosts());
        hosts.map(|host| (*host).to_owned()).collect()
    }

    /// Returns the rules that lead to the vendors.
    pub(crate) fn connect_to(&self) -> String {
        let port = self.0.address.port();
        let rule = |host: &String| format!("{host}:443:127.0.0.1:{port}");
        self.hosts().iter().map(rule).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Returns the secrets that nothing in the sandbox may know.
    pub(crate) fn canaries(&self) -> impl Iterator<Item = &Canary> {
        self.0.doubles.iter().flat_map(|double| double.canaries())
    }

    /// Returns what has arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// Refuses every credential from now on.
    pub(crate) fn revoke_all(&self) {
        self.0.is_revoked.store(true, Ordering::SeqCst);
    }

    /// Returns how many requests of an account have arrived.
    pub(crate) fn asked(&self, account: &str) -> usize {
        self.seen().iter().filter(|seen| seen.account == Some(account)).count()
    }

    /// Returns what was sent to a host.
    pub(crate) fn bodies(&self, host: &str) -> Vec<String> {
        let bodies = self.seen().into_iter().filter(|seen| seen.host == host);
        bodies.map(|seen| seen.body).collect()
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let named = request.uri().host().map(str::to_owned);
        let host = named.unwrap_or_else(|| field(&request, HOST.as_str()));
        let double = self.0.doubles.iter().find(|double| double.hosts().contains(&&*host));
        let Some(double) = double else { return text(421, "no such host") };
        let authorization = field(&request, AUTHORIZATION.as_str());
        let (head, body) = request.into_parts();
        let is_revoked = self.0.is_revoked.load(Ordering::SeqCst);
        let account = double.account(&head).filter(|_| !is_revoked);
        let path = head.uri.path().to_owned();
        let number = {
            let mut seen = self.0.seen.lock().unwrap();
            let host = host.clone();
            seen.push(Seen { host, path, authorization, account, body: String::new() });
            seen.len() - 1
        };
        let request = Request::from_parts(head, body);
        let server = Arc::clone(&self.0);
        double.answer(Arrival { request, host, account, server, number }).await
    }
}

fn leaf(authority: &CertificateAuthority, hosts: Vec<String>) -> (Certificate, KeyPair) {
    let key = KeyPair::from_pem(&authority.key_pem()).unwrap();
    let issuer = Issuer::from_ca_cert_der(authority.certificate(), key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(hosts).unwrap();
    (params.signed_by(&leaf_key, &issuer).unwrap(), leaf_key)
}

fn configuration(authority: &CertificateAuthority, hosts: Vec<String>) -> Arc<ServerConfig> {
    let (leaf, leaf_key) = leaf(authority, hosts);
    let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Returns a field of a request's head; the empty text where there is none.
pub(crate) fn field<B>(request: &Request<B>, name: &str) -> String {
    let value = request.headers().get(name).map(HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

pub(crate) async fn body(request: Request<Incoming>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes()
}

pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply
}

pub(crate) fn json(status: u16, value: &Value) -> Reply {
    let mut reply = text(status, value.to_string());
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}
