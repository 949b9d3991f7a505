//! Clients: a tunnel with hyper in it, and raw sockets.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::origin::provider;
use super::{TOKEN, World};

pub(crate) type Payload = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn empty() -> Payload {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Payload {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("moat:{TOKEN}")))
}

/// Reads up to the end of a head.
pub(crate) async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Reads what comes until the end, however it ends.
pub(crate) async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

impl World {
    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Opens a tunnel and returns what the proxy said.
    pub(crate) async fn tunnel(&self, authority: &str) -> (TcpStream, String) {
        self.tunnel_as(authority, &basic()).await
    }

    /// Opens a tunnel with these proxy credentials.
    pub(crate) async fn tunnel_as(&self, authority: &str, auth: &str) -> (TcpStream, String) {
        let mut socket = self.socket().await;
        let request = format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {auth}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = head(&mut socket).await;
        (socket, answer)
    }

    /// Sends bytes in a tunnel of HTTP/1.1, and returns all that comes back until it closes.
    pub(crate) async fn wire(&self, host: &str, bytes: &str) -> String {
        let mut stream = self.tls(host, &["http/1.1"]).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        super::soon(rest(&mut stream)).await
    }

    /// Sends one request to the proxy itself, and returns the answer.
    pub(crate) async fn direct(&self, line: &str, fields: &str) -> String {
        let mut socket = self.socket().await;
        let auth = basic();
        let request = format!(
            "{line} HTTP/1.1\r\nProxy-Authorization: {auth}\r\nConnection: close\r\n{fields}\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        super::soon(rest(&mut socket)).await
    }

    /// Opens a tunnel with TLS in it.
    pub(crate) async fn tls(&self, host: &str, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.tls_as(host, host, alpn).await.unwrap()
    }

    pub(crate) async fn tls_as(
        &self,
        host: &str,
        sni: &str,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let (socket, answer) = self.tunnel(&format!("{host}:443")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        self.connector(alpn).connect(name, socket).await
    }

    pub(crate) fn connector(&self, alpn: &[&str]) -> TlsConnector {
        self.trusting(self.ca.certificate().clone(), alpn)
    }

    /// Trusts the origins' authority, and not the proxy's.
    pub(crate) fn origin_connector(&self) -> TlsConnector {
        self.trusting(self.origins.certificate(), &["http/1.1"])
    }

    fn trusting(&self, root: CertificateDer<'static>, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) async fn http1(&self, host: &str) -> http1::SendRequest<Payload> {
        let stream = self.tls(host, &["http/1.1"]).await;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        sender
    }

    pub(crate) async fn http2(&self, host: &str) -> http2::SendRequest<Payload> {
        let stream = self.tls(host, &["h2"]).await;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Opens a tunnel with HTTP of a version in it.
    pub(crate) async fn client(&self, host: &str, version: Http) -> Client {
        let host = host.to_owned();
        match version {
            Http::One => Client { inner: Inner::One(self.http1(&host).await), host },
            Http::Two => Client { inner: Inner::Two(self.http2(&host).await), host },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(crate) fn alpn(self) -> &'static str {
        match self {
            Self::One => "http/1.1",
            Self::Two => "h2",
        }
    }
}

pub(crate) struct Client {
    pub(crate) inner: Inner,
    host: String,
}

pub(crate) enum Inner {
    One(http1::SendRequest<Payload>),
    Two(http2::SendRequest<Payload>),
}

impl Client {
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        match &self.inner {
            Inner::One(_) => {
                Request::builder().method(method).uri(path).header("Host", self.host.as_str())
            }
            Inner::Two(_) => {
                Request::builder().method(method).uri(format!("https://{}{path}", self.host))
            }
        }
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> hyper::Result<Response<Incoming>> {
        match &mut self.inner {
            Inner::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Inner::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response<Bytes> {
        let request = self.request("GET", path).body(empty()).unwrap();
        whole(self.send(request).await.unwrap()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let request = self.request("POST", path).body(full(body)).unwrap();
        whole(self.send(request).await.unwrap()).await
    }
}

pub(crate) async fn whole(response: Response<Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}
