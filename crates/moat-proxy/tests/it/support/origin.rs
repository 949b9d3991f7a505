//! Hosts on loopback: a well-behaved one of hyper, and one that is a script.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use moat_provider_core::Clock;
use moat_proxy::plane::CertificateAuthority;
use rcgen::{Certificate, CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Net, RealClock};

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

pub(crate) fn text(body: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync())
}

/// The authority of the origins.
pub(crate) struct OriginCa(CertificateAuthority);

impl OriginCa {
    pub(crate) fn new() -> Self {
        let day = std::time::Duration::from_secs(24 * 3600);
        Self(CertificateAuthority::generate(RealClock.now(), day).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.certificate_pem()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.certificate().clone()
    }

    /// Issues a certificate.
    pub(crate) fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::from_pem(&self.0.key_pem()).unwrap();
        let issuer = Issuer::from_ca_cert_der(self.0.certificate(), key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&leaf_key, &issuer).unwrap(), leaf_key)
    }

    pub(crate) fn config(&self, host: &str, alpn: &[&str]) -> Arc<ServerConfig> {
        let (leaf, key) = self.issue(host);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        // A host whose name says so wants to see a certificate.
        let builder = if host.starts_with("mutual.") {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.0.certificate().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(vec![leaf.into()], key.into()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A host that answers requests.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Origin {
    /// Serves a host at port 443 over TLS with these protocols.
    pub(crate) async fn tls<F, R>(
        ca: &OriginCa,
        net: &Net,
        host: &str,
        alpn: &[&str],
        respond: F,
    ) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(ca.config(host, alpn));
        let (listener, origin) = Self::listen(net, host, 443).await;
        let counts = origin.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, respond, counts) =
                    (acceptor.clone(), respond.clone(), counts.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        counts.serve(stream, respond).await;
                    }
                });
            }
        });
        origin
    }

    /// Serves a host at port 80 without TLS.
    pub(crate) async fn plain<F, R>(net: &Net, host: &str, respond: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let (listener, origin) = Self::listen(net, host, 80).await;
        let counts = origin.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let (respond, counts) = (respond.clone(), counts.clone());
                tokio::spawn(async move {
                    let service = counts.service(respond);
                    let builder = hyper::server::conn::http1::Builder::new();
                    _ = builder.serve_connection(TokioIo::new(tcp), service).await;
                });
            }
        });
        origin
    }

    async fn listen(net: &Net, host: &str, port: u16) -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        net.add(host, port, listener.local_addr().unwrap());
        (listener, Self { connections: Arc::default(), requests: Arc::default() })
    }

    fn service<F, R>(
        &self,
        respond: F,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Reply,
        Error = Infallible,
        Future: Send + 'static,
    > + use<F, R>
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let requests = Arc::clone(&self.requests);
        service_fn(move |request| {
            requests.fetch_add(1, Ordering::SeqCst);
            let reply = respond(request);
            async move { Ok::<_, Infallible>(reply.await) }
        })
    }

    async fn serve<F, R>(&self, stream: TlsStream<TcpStream>, respond: F)
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let service = self.service(respond);
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(250);
            _ = builder.serve_connection(TokioIo::new(stream), service).await;
        } else {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.preserve_header_case(true);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            _ = connection.with_upgrades().await;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Serves a host with a script that gets each TLS connection.
pub(crate) async fn script<F, R>(ca: &OriginCa, net: &Net, host: &str, alpn: &[&str], run: F)
where
    F: Fn(TlsStream<TcpStream>) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(ca.config(host, alpn));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    net.add(host, 443, listener.local_addr().unwrap());
    let run = Arc::new(run);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, run) = (acceptor.clone(), Arc::clone(&run));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    run(stream).await;
                }
            });
        }
    });
}

/// Serves a port with a script that gets each connection as it is.
pub(crate) async fn raw<F, R>(net: &Net, host: &str, port: u16, run: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    net.add(host, port, address);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(run(tcp));
        }
    });
    address
}

/// A stream from a poll function.
pub(crate) fn stream<T, F>(poll: F) -> impl futures_core::Stream<Item = T> + use<T, F>
where
    F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin,
{
    struct PollFn<F>(F);
    impl<T, F> futures_core::Stream for PollFn<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin,
    {
        type Item = T;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<T>> {
            (self.0)(cx)
        }
    }
    PollFn(poll)
}
