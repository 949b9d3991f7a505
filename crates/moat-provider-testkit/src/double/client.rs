//! A client that cannot leave the machine.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use moat_provider_core::{BoxFuture, Error, ErrorKind, HttpClient, Result, Timeout};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::VendorDouble;
use super::wire::Wire;
use crate::fakes::check_url;

/// An HTTP client of a context that reaches doubles on loopback and nothing else.
///
/// Each host has the address of a double. No name is ever resolved and no address is taken from a
/// URL, so whatever the code under test asks for, no request leaves the machine: one to another
/// host fails with a sentence. `Host` and SNI are those of the URL, and the certificate has to be
/// the double's for that host. Redirects are not followed.
///
/// For tests: the exchange blocks the thread that polls the future.
#[derive(Default)]
pub struct LoopbackClient {
    routes: BTreeMap<String, Route>,
}

struct Route {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl LoopbackClient {
    /// Begins a client that reaches nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends requests for a host, on any port, to a double.
    #[must_use]
    pub fn route(mut self, host: &str, double: &VendorDouble) -> Self {
        let tls = double.identity.as_ref().map(|identity| identity.client_config());
        let address = double.address();
        self.routes.insert(host.to_ascii_lowercase(), Route { address, tls });
        self
    }

    fn exchange(&self, request: &Request<Bytes>) -> Result<Response<Bytes>> {
        check_url(request)?;
        let host = request.uri().host().unwrap_or_default().to_ascii_lowercase();
        let Some(route) = self.routes.get(&host) else {
            let known: Vec<_> = self.routes.keys().map(String::as_str).collect();
            let message =
                format!("no double stands in the place of {host}, only for {}", known.join(", "));
            return Err(Error::new(ErrorKind::Offline, message));
        };
        route.exchange(request, &host).map_err(|error| {
            let (kind, message) = match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    (ErrorKind::TimedOut, "the double did not answer in time")
                }
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    (ErrorKind::UnexpectedAnswer, "what came from the double is not HTTP")
                }
                _ => (ErrorKind::Offline, "the double cannot be reached"),
            };
            Error::new(kind, message)
        })
    }
}

impl Route {
    fn exchange(&self, request: &Request<Bytes>, host: &str) -> io::Result<Response<Bytes>> {
        let timeout = request.extensions().get::<Timeout>();
        let timeout = timeout.map_or(Duration::from_secs(30), |timeout| timeout.0);
        let stream = TcpStream::connect_timeout(&self.address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        match &self.tls {
            None => exchange_on(stream, request),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                let tls = ClientConnection::new(Arc::clone(config), name);
                let tls = tls.map_err(io::Error::other)?;
                exchange_on(StreamOwned::new(tls, stream), request)
            }
        }
    }
}

fn exchange_on(stream: impl Read + Write, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let mut wire = Wire::new(stream);
    wire.write_request(request)?;
    wire.read_response(request.method())
}

impl HttpClient for LoopbackClient {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>> {
        Box::pin(async move { self.exchange(&request) })
    }
}

impl fmt::Debug for LoopbackClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackClient").field("hosts", &self.routes.keys()).finish_non_exhaustive()
    }
}
