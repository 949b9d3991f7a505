//! Vendors: functions from requests to answers.

mod echo;
mod guard;
mod sequence;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};

pub use self::echo::EchoVendor;
pub use self::guard::{Guarded, requires, requires_bearer};
pub use self::sequence::Sequence;

/// A vendor, as a test wants it to behave: in the same process behind a
/// [`FakeHttp`](crate::FakeHttp), or on loopback behind a
/// [`VendorDouble`](crate::VendorDouble).
///
/// The request's URI is absolute in both. Every `Fn(&Request<Bytes>) -> Response<Bytes>` is a
/// vendor.
pub trait Vendor: Send + Sync {
    /// Answers a request.
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes>;
}

impl<F> Vendor for F
where
    F: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync,
{
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self(request)
    }
}

impl<V: Vendor + ?Sized> Vendor for Arc<V> {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        (**self).answer(request)
    }
}

/// Makes an answer without a body.
///
/// # Panics
///
/// When `status` is not from 100 to 999.
#[must_use]
pub fn empty(status: u16) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status_code(status);
    response
}

/// Makes an answer of plain text.
///
/// # Panics
///
/// When `status` is not from 100 to 999.
#[must_use]
pub fn text(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    typed(status, "text/plain; charset=utf-8", body.into())
}

/// Makes an answer of JSON.
///
/// # Panics
///
/// When `status` is not from 100 to 999.
#[must_use]
pub fn json(status: u16, body: &serde_json::Value) -> Response<Bytes> {
    typed(status, "application/json", body.to_string().into())
}

fn typed(status: u16, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = empty(status);
    *response.body_mut() = body;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn status_code(status: u16) -> StatusCode {
    match StatusCode::from_u16(status) {
        Ok(status) => status,
        Err(_) => panic!("{status} is not an HTTP status"),
    }
}
