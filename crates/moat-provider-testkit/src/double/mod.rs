//! A vendor on loopback.

mod client;
mod server;
mod tls;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use moat_provider_core::HttpClient;

pub use self::client::LoopbackClient;
use self::server::Server;
pub(crate) use self::server::message_of;
use self::tls::Identity;
use crate::Vendor;

/// A small HTTP/1.1 server on loopback that answers as a [`Vendor`] does.
///
/// It listens on a port of the system's choice, takes any number of connections, keeps them alive,
/// and reads bodies with a length or in chunks. It stops when it is dropped; if the vendor has
/// panicked meanwhile, that fails the test.
///
/// ```
/// use http::Request;
/// use bytes::Bytes;
/// use moat_provider_testkit::{VendorDouble, block_on, text};
///
/// let double = VendorDouble::https(|_: &Request<Bytes>| text(200, "hello"), ["api.example.com"]);
/// let request = Request::get("https://api.example.com/v1/user").body(Bytes::new())?;
/// let response = block_on(double.client().send(request))?;
/// assert_eq!(response.body(), "hello");
/// assert_eq!(double.requests()[0].uri().path(), "/v1/user");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VendorDouble {
    server: Server,
    hosts: Vec<String>,
    identity: Option<Arc<Identity>>,
}

impl VendorDouble {
    /// Starts a double that speaks plain HTTP, in the place of these hosts.
    ///
    /// # Panics
    ///
    /// When loopback has no port to give.
    #[must_use]
    pub fn http<I>(vendor: impl Vendor + 'static, hosts: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::start(vendor, lower(hosts), None)
    }

    /// Starts a double that speaks HTTPS, in the place of these hosts, with a certificate that an
    /// authority of its own has just made for them.
    ///
    /// # Panics
    ///
    /// When loopback has no port to give, or a host is not the name for a certificate.
    #[must_use]
    pub fn https<I>(vendor: impl Vendor + 'static, hosts: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let hosts = lower(hosts);
        let identity = Arc::new(Identity::new(&hosts));
        Self::start(vendor, hosts, Some(identity))
    }

    fn start(
        vendor: impl Vendor + 'static,
        hosts: Vec<String>,
        identity: Option<Arc<Identity>>,
    ) -> Self {
        assert!(!hosts.is_empty(), "a double stands in the place of at least one host");
        let tls = identity.as_ref().map(|identity| identity.server_config());
        Self { server: Server::start(Box::new(vendor), tls), hosts, identity }
    }

    /// Returns where the double listens: 127.0.0.1 and a port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the certificate of the double's authority in PEM, for clients of another kind;
    /// `None` when the double speaks plain HTTP.
    #[must_use]
    pub fn authority_pem(&self) -> Option<String> {
        self.identity.as_ref().map(|identity| identity.authority_pem())
    }

    /// Returns every request that came, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.server.requests()
    }

    /// Makes a client for a context that reaches this double and nothing else.
    #[must_use]
    pub fn client(&self) -> Arc<dyn HttpClient> {
        let client =
            self.hosts.iter().fold(LoopbackClient::new(), |client, host| client.route(host, self));
        Arc::new(client)
    }

    /// Fails the test if the vendor has panicked, or somebody sent what is not HTTP.
    ///
    /// # Panics
    ///
    /// As it says. Dropping the double does the same.
    pub fn verify(&self) {
        self.server.verify();
    }
}

impl fmt::Debug for VendorDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendorDouble")
            .field("address", &self.address())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

fn lower<I>(hosts: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect()
}
