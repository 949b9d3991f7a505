//! The hop to the host: addresses, connections, TLS, HTTP.

mod corporate;
mod dial;
mod lease;
mod pool;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

pub use self::corporate::UpstreamProxy;
pub use self::dial::{ConnectTo, Dialer, Resolver, SystemResolver, TcpDialer};
pub(crate) use self::lease::Lease;
pub(crate) use self::pool::{Pool, Slot};
pub(crate) use self::tls::Tls;
pub use self::tls::{ClientCertificate, UpstreamTls};
use crate::plane::destination::{Destination, Scheme};
use crate::plane::io::Rewind;
use crate::plane::limits::Limits;
use crate::plane::linger::Deaf;
use crate::plane::seam::Handler;
use crate::{Authority, Host, Reason, Refusal};

/// How hosts are reached.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) connect_to: Vec<ConnectTo>,
    pub(crate) proxy: Option<UpstreamProxy>,
    pub(crate) tls: Tls,
    pub(crate) limits: Arc<Limits>,
}

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// HTTP/2 or HTTP/1.1, as the host likes.
    Any,
    /// HTTP/1.1, which can switch to WebSocket.
    Http1,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

impl Upstream {
    /// Connects to a host, with TLS where the scheme asks for it.
    pub(crate) async fn connect(
        &self,
        handler: &dyn Handler,
        destination: &Destination,
        offer: Offer,
    ) -> Result<(Stream, Protocol), Refusal> {
        let tcp = Deaf::new(self.reach(handler, &destination.authority).await?);
        if destination.scheme == Scheme::Http {
            return Ok((Stream::Left(tcp), Protocol::Http1));
        }
        let handshake = self.tls.connect(&destination.authority, tcp, offer);
        let limit = self.limits.upstream_handshake;
        let stream = tokio::time::timeout(limit, handshake).await.unwrap_or_else(|_| {
            Err(Refusal::new(Reason::ConnectTimeout).about("the TLS handshake took too long"))
        })?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Stream::Right(Box::new(stream)), protocol))
    }

    /// Opens a byte stream to a host: to an address that was judged, or through the upstream proxy.
    pub(crate) async fn reach(
        &self,
        handler: &dyn Handler,
        authority: &Authority,
    ) -> Result<Rewind<TcpStream>, Refusal> {
        let rule = self.connect_to.iter().find(|rule| rule.applies(authority));
        let place = rule.map(|rule| rule.place(authority));
        if let Some((Some(host), port)) = place {
            // The person named the address: there is nothing to judge.
            return self.dial((host, port)).await.map(|tcp| Rewind::new(Bytes::new(), tcp));
        }
        if let Some(known) = handler.known_addresses(authority)? {
            let tcp = dial::first_of(&self.dialer, known, &self.limits).await?;
            return Ok(Rewind::new(Bytes::new(), tcp));
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.serves(authority)) {
            // The other proxy resolves the name; what can be judged here is a literal address.
            if let Some(ip) = authority.host().address() {
                handler.judge_addresses(authority, vec![ip])?;
            }
            let tcp = self.dial(proxy.address()).await?;
            let opened = tokio::time::timeout(self.limits.connect, proxy.open(tcp, authority));
            return opened.await.unwrap_or_else(|_| {
                Err(Refusal::new(Reason::UpstreamProxy).about("it did not answer in time"))
            });
        }
        let addresses = match authority.host() {
            Host::Address(ip) => vec![*ip],
            Host::Name(name) => self.resolve(name.as_str()).await?,
        };
        let mut judged = handler.judge_addresses(authority, addresses)?;
        if let Some((_, port)) = place {
            judged.iter_mut().for_each(|address| address.set_port(port));
        }
        let tcp = dial::first_of(&self.dialer, judged, &self.limits).await?;
        Ok(Rewind::new(Bytes::new(), tcp))
    }

    async fn dial(&self, (host, port): (&str, u16)) -> Result<TcpStream, Refusal> {
        let addresses = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => self.resolve(host).await?,
        };
        let addresses = addresses.into_iter().map(|ip| (ip, port).into()).collect();
        dial::first_of(&self.dialer, addresses, &self.limits).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Refusal> {
        let failed = |reason| Refusal::new(reason).about(host);
        match tokio::time::timeout(self.limits.resolve, self.resolver.resolve(host)).await {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(failed(Reason::NameNotFound)),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(_)) => Err(failed(Reason::NameLookupFailed)),
            Err(_) => Err(failed(Reason::NameLookupFailed).because("took too long")),
        }
    }
}

/// A connection to a host over which HTTP is spoken.
pub(crate) type HostTcp = Deaf<Rewind<TcpStream>>;
/// The same, as it is or with TLS.
pub(crate) type Stream = Either<HostTcp, Box<TlsStream<HostTcp>>>;
