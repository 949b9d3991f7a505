//! Requests to vendors.

mod connect;
mod connect_to;
mod failure;
mod proxy;
mod trust;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use moat_provider_core::{
    BoxFuture, Environment, Error, ErrorKind, HttpClient, Result, Timeout, escape_line,
};

use self::connect::Connector;
pub use self::connect_to::ConnectTo;
pub use self::proxy::CorporateProxy;
use self::trust::Trust;

/// How long an exchange may take when the request does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest body of an answer that is read.
const MAX_BODY: usize = 1024 * 1024;
/// How long a connection is kept for the next request: less than the 5 seconds after which some
/// servers close it, perhaps in the middle of that request.
const IDLE: Duration = Duration::from_secs(4);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("moat/", env!("CARGO_PKG_VERSION")));

/// The client for vendors: HTTPS only, HTTP/2 or HTTP/1.1, no redirects, bounded in time and
/// length.
///
/// It verifies certificates against the authorities of the system and those it was given, keeps no
/// cookies, asks for no compression, and says `moat/<version>` where a request names no
/// `User-Agent`. No error shows a path, a query, a header or a body. It is for one tokio runtime:
/// connections are kept by the runtime that opened them.
#[derive(Clone)]
pub struct HttpsClient {
    client: Client<Connector, Full<Bytes>>,
}

impl HttpsClient {
    /// Begins a client that trusts what the system trusts and reaches vendors directly.
    #[must_use]
    pub fn builder() -> HttpsClientBuilder {
        HttpsClientBuilder { trust: Trust::nothing(), connect_to: Vec::new(), proxy: None }
    }
}

/// Collects what an [`HttpsClient`] is made of.
#[derive(Debug)]
pub struct HttpsClientBuilder {
    trust: Trust,
    connect_to: Vec<ConnectTo>,
    proxy: Option<CorporateProxy>,
}

impl HttpsClientBuilder {
    /// Trusts the authorities of a PEM file beside those of the system: `--upstream-ca`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read, [`ErrorKind::InvalidInput`] when there is no
    /// certificate in it or one that cannot be used. Both name the file.
    pub fn upstream_ca(mut self, file: impl AsRef<Path>) -> Result<Self> {
        self.trust.add_file(file.as_ref())?;
        Ok(self)
    }

    /// Sends connections for some hosts elsewhere. The first rule that fits decides; the corporate
    /// proxy is not asked for these.
    #[must_use]
    pub fn connect_to(mut self, rules: impl IntoIterator<Item = ConnectTo>) -> Self {
        self.connect_to.extend(rules);
        self
    }

    /// Reaches vendors through a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Option<CorporateProxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Reaches vendors through the proxy that the environment names, as
    /// [`CorporateProxy::from_environment`] reads it.
    ///
    /// # Errors
    ///
    /// Those of [`CorporateProxy::from_environment`].
    pub fn proxy_from(self, environment: &dyn Environment) -> Result<Self> {
        Ok(self.proxy(CorporateProxy::from_environment(environment)?))
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when neither the system nor a file names an authority to trust.
    pub fn build(mut self) -> Result<HttpsClient> {
        self.trust.add_system()?;
        let tls = self.trust.into_config()?;
        let connector = Connector::new(tls, self.connect_to, self.proxy);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(HttpsClient { client })
    }
}

impl HttpClient for HttpsClient {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>> {
        Box::pin(async move {
            let host = check(request.uri())?;
            let limit = request.extensions().get::<Timeout>().map_or(TIMEOUT, |limit| limit.0);
            tokio::time::timeout(limit, self.exchange(request, &host)).await.unwrap_or_else(|_| {
                let message =
                    format!("{host} did not answer within {} seconds", limit.as_secs_f64());
                Err(Error::new(ErrorKind::TimedOut, message)
                    .with_hint("check the network, and try again"))
            })
        })
    }
}

impl HttpsClient {
    async fn exchange(&self, request: Request<Bytes>, host: &str) -> Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        // Which version is spoken, the TLS handshake decides.
        parts.version = Version::HTTP_11;
        parts.headers.entry(USER_AGENT).or_insert(AGENT);
        let request = Request::from_parts(parts, Full::new(body));
        let answered = self.client.request(request).await;
        let (parts, body) = answered.map_err(|error| failure::judge(host, &error))?.into_parts();
        let too_long = || failure::unexpected(host, "answers with more than 1 MiB");
        let announced = parts.headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok());
        let announced = announced.and_then(|len| len.parse::<u64>().ok());
        // The answer to HEAD, and 304, announce a body that does not come.
        let comes = !hyper::body::Body::is_end_stream(&body);
        if comes && announced.is_some_and(|len| len > MAX_BODY as u64) {
            return Err(too_long());
        }
        let body = collect(body).await.map_err(|error| failure::judge(host, &error))?;
        Ok(Response::from_parts(parts, body.ok_or_else(too_long)?))
    }
}

/// Reads a body; `None` when it is too long.
async fn collect(mut body: Incoming) -> hyper::Result<Option<Bytes>> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are for nobody.
        let Ok(data) = frame?.into_data() else { continue };
        if collected.len() + data.len() > MAX_BODY {
            return Ok(None);
        }
        collected.extend_from_slice(&data);
    }
    Ok(Some(collected.freeze()))
}

/// Returns the host, for messages. Neither path nor query are shown: some vendors put tokens there.
fn check(url: &Uri) -> Result<String> {
    let wrong = |what: &str| Error::invalid(what.to_owned()).with_hint("use https://HOST/…");
    if url.scheme_str() != Some("https") {
        return Err(wrong("a request to a vendor needs an https URL"));
    }
    match url.host() {
        Some(_) if port_of(url).is_none() => Err(wrong("the port in the URL of a request is none")),
        None | Some("") => Err(wrong("the URL of a request names no host")),
        Some(_) if url.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            Err(wrong("the URL of a request names a user: pass credentials in a header"))
        }
        Some(host) => Ok(escape_line(host).into_owned()),
    }
}

/// Returns the port of a URL, with that of its scheme as the default; `None` when it is no number.
fn port_of(url: &Uri) -> Option<u16> {
    let authority = url.authority()?.as_str();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.strip_prefix(url.host()?)? {
        "" | ":" if url.scheme_str() == Some("http") => Some(80),
        "" | ":" => Some(443),
        _ => url.port_u16(),
    }
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient").finish_non_exhaustive()
    }
}
