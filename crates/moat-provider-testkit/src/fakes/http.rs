//! An HTTP client that asks a vendor in the same process.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use moat_provider_core::{BoxFuture, Error, ErrorKind, HttpClient, Result};

use super::script::lock;
use crate::Vendor;

/// An HTTP client without a network.
///
/// Like the port it refuses a URL that is not https, and it remembers every request.
pub struct FakeHttp {
    line: Line,
    requests: Mutex<Vec<Request<Bytes>>>,
}

enum Line {
    Vendor(Box<dyn Vendor>),
    Client(Arc<dyn HttpClient>),
    Fails(ErrorKind, &'static str),
    Refuses,
}

impl FakeHttp {
    /// Makes a client whose requests a vendor answers.
    #[must_use]
    pub fn answered_by(vendor: impl Vendor + 'static) -> Self {
        Self::on(Line::Vendor(Box::new(vendor)))
    }

    /// Makes a client that hands requests on to another, such as that of a double on loopback.
    #[must_use]
    pub fn through(client: Arc<dyn HttpClient>) -> Self {
        Self::on(Line::Client(client))
    }

    /// Makes a client that reaches nobody.
    #[must_use]
    pub fn offline() -> Self {
        Self::on(Line::Fails(ErrorKind::Offline, "the vendor cannot be reached"))
    }

    /// Makes a client that gets no answer in time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::on(Line::Fails(ErrorKind::TimedOut, "the vendor did not answer in time"))
    }

    /// Makes a client to which comes something that is not HTTP, or too long.
    #[must_use]
    pub fn unexpected_answer() -> Self {
        Self::on(Line::Fails(ErrorKind::UnexpectedAnswer, "what came from the vendor is not HTTP"))
    }

    /// Makes a client in which every request fails the test.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::on(Line::Refuses)
    }

    fn on(line: Line) -> Self {
        Self { line, requests: Mutex::default() }
    }

    /// Returns every request that was sent, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.requests).clone()
    }
}

impl HttpClient for FakeHttp {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>> {
        Box::pin(async move {
            lock(&self.requests).push(request.clone());
            check_url(&request)?;
            match &self.line {
                Line::Vendor(vendor) => Ok(vendor.answer(&request)),
                Line::Client(client) => client.send(request).await,
                Line::Fails(kind, message) => Err(Error::new(*kind, *message)),
                Line::Refuses => panic!(
                    "the HTTP client was asked to send {} to {}, but this test expects no request",
                    request.method(),
                    request.uri().host().unwrap_or_default()
                ),
            }
        })
    }
}

/// What the port demands of a URL.
pub(crate) fn check_url<B>(request: &Request<B>) -> Result<()> {
    let uri = request.uri();
    match uri.authority() {
        Some(authority) if uri.scheme() == Some(&Scheme::HTTPS) => {
            if authority.as_str().contains('@') {
                return Err(Error::invalid("the URL has user information"));
            }
            Ok(())
        }
        _ => Err(Error::invalid("the URL is not an absolute https URL")),
    }
}

impl fmt::Debug for FakeHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHttp").finish_non_exhaustive()
    }
}
