//! Vendors that ask for a credential.

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response};
use moat_provider_core::{HeaderTemplate, Secret};
use serde_json::json;

use super::Vendor;

/// A vendor that answers only requests with the right credential, and others with 401.
pub struct Guarded<V> {
    header: HeaderName,
    value: HeaderValue,
    vendor: V,
}

/// Makes a vendor answer only requests that carry `Authorization: Bearer <secret>`.
///
/// # Panics
///
/// When a header cannot carry the secret.
pub fn requires_bearer<V: Vendor>(secret: &Secret, vendor: V) -> Guarded<V> {
    requires(AUTHORIZATION, &HeaderTemplate::Bearer, secret, vendor)
}

/// Makes a vendor answer only requests that carry a secret in a header, as a template has it, and
/// only once.
///
/// # Panics
///
/// When a header cannot carry the secret.
pub fn requires<V: Vendor>(
    header: HeaderName,
    template: &HeaderTemplate,
    secret: &Secret,
    vendor: V,
) -> Guarded<V> {
    match template.render(secret) {
        Ok(value) => Guarded { header, value, vendor },
        Err(error) => panic!("no request can carry this credential: {error}"),
    }
}

impl<V: Vendor> Vendor for Guarded<V> {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut given = request.headers().get_all(&self.header).iter();
        if given.next() == Some(&self.value) && given.next().is_none() {
            return self.vendor.answer(request);
        }
        let body = json!({
            "message": "Bad credentials",
            "error": {"type": "authentication_error", "message": "invalid credentials"},
        });
        let mut response = super::json(401, &body);
        let challenge = HeaderValue::from_static("Bearer realm=\"double\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

impl<V> fmt::Debug for Guarded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("header", &self.header).finish_non_exhaustive()
    }
}
