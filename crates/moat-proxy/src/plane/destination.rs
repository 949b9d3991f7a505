//! Where a request goes, and how that is written on the wire.

use http::HeaderValue;

use crate::{Authority, Reason, Refusal};

/// Where a request goes: an authority, a scheme, and both as they are written on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) authority: Authority,
    pub(crate) scheme: Scheme,
    pub(crate) host_field: HeaderValue,
    pub(crate) uri_authority: http::uri::Authority,
}

/// Whether the hop to the host is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Https,
    Http,
}

impl Destination {
    pub(crate) fn new(authority: Authority, scheme: Scheme) -> Result<Self, Refusal> {
        let default_port = if scheme == Scheme::Https { 443 } else { 80 };
        let written = authority.without_port(default_port);
        Ok(Self {
            host_field: HeaderValue::from_str(&written).map_err(|_| Reason::AuthorityMalformed)?,
            uri_authority: written.parse().map_err(|_| Reason::AuthorityMalformed)?,
            authority,
            scheme,
        })
    }
}
