//! Connections to vendors.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use moat_provider_core::{Error, Result};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::connect_to::ConnectTo;
use super::failure::{judge_connect, judge_tls};
use super::port_of;
use super::proxy::CorporateProxy;

/// Each further address of a name is tried this much later than the one before (RFC 8305, section
/// 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects over TLS to where a URL's host is to be reached.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    tcp: HttpConnector,
    tls: TlsConnector,
    connect_to: Vec<ConnectTo>,
    proxy: Option<CorporateProxy>,
}

impl Connector {
    pub(super) fn new(
        tls: Arc<ClientConfig>,
        connect_to: Vec<ConnectTo>,
        proxy: Option<CorporateProxy>,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_happy_eyeballs_timeout(Some(STAGGER));
        Self(Arc::new(Inner { tcp, tls: TlsConnector::from(tls), connect_to, proxy }))
    }

    async fn connect(self, url: Uri) -> Result<TlsConnection> {
        let host = url.host().unwrap_or_default();
        let port = port_of(&url).unwrap_or(443);
        let tcp = self.0.reach(&url, host, port).await?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| {
            Error::invalid(format!("no certificate can be for the host {host}"))
                .with_hint("check the host's name")
        })?;
        let tls = self.0.tls.connect(name, tcp).await.map_err(|error| judge_tls(host, &error))?;
        Ok(TlsConnection(TokioIo::new(tls)))
    }
}

impl Inner {
    async fn reach(&self, url: &Uri, host: &str, port: u16) -> Result<TcpStream> {
        // The person named the address: the proxy is not asked.
        if let Some((to, port)) = self.connect_to.iter().find_map(|rule| rule.apply(host, port)) {
            return self.dial(to, port).await;
        }
        let Some(route) = self.proxy.as_ref().and_then(|proxy| proxy.route(url)) else {
            return self.dial(host, port).await;
        };
        let mut tcp = self.dial(&route.host, route.port).await.map_err(|error| {
            Error::new(
                error.kind(),
                format!("the proxy in {} does not work: {error}", route.origin),
            )
            .with_hint(format!("check {}, or name {host} in NO_PROXY", route.origin))
        })?;
        route.open(&mut tcp, host, port).await?;
        Ok(tcp)
    }

    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream> {
        let authority = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let place = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
        let place = place.map_err(|_| {
            Error::invalid("the host of the URL is not a name or an address")
                .with_hint("check the host's name")
        })?;
        let tcp = self.tcp.clone().call(place).await;
        Ok(tcp.map_err(|error| judge_connect(host, &error))?.into_inner())
    }
}

impl Service<Uri> for Connector {
    type Response = TlsConnection;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TlsConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

/// A connection over TLS that says which protocol was agreed upon.
pub(super) struct TlsConnection(TokioIo<TlsStream<TcpStream>>);

impl Connection for TlsConnection {
    fn connected(&self) -> Connected {
        match self.0.inner().get_ref().1.alpn_protocol() {
            Some(b"h2") => Connected::new().negotiated_h2(),
            _ => Connected::new(),
        }
    }
}

impl Read for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for TlsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
