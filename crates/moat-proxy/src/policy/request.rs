//! What a policy says of requests whatever its entries, and the flags that it suggests.

use http::{HeaderName, Method};

use super::entry::Entry;
use crate::{Authority, Host, RequestPath};

/// Headers in which servers and gateways read another method, path, host or origin than the request
/// has.
const MISLEADING: [&str; 11] = [
    "forwarded",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-original-uri",
    "x-real-ip",
    "x-rewrite-url",
];

/// Whether a header may make a server see another method, path, host or origin than the policy saw:
/// it is removed on hosts that have rules, or that the policy judges request by request (law L8).
/// Servers after CGI take `_` for `-`.
#[must_use]
pub fn is_misleading_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Of most names the first letter tells.
    if !name.starts_with(['f', 'x']) {
        return false;
    }
    let name = name.replace('_', "-");
    name.starts_with("x-forwarded-") || MISLEADING.contains(&name.as_str())
}

/// Whether requests with a method are never carried out: TRACE echoes credentials (RFC 9110,
/// section 9.3.8), as does Microsoft's TRACK, and CONNECT has no place in a tunnel.
#[must_use]
pub fn is_refused_method(method: &Method) -> bool {
    ["TRACE", "TRACK", "CONNECT"].iter().any(|name| name.eq_ignore_ascii_case(method.as_str()))
}

/// The flag that allows a host. It holds nothing that a shell would act on.
pub(super) fn allow_host(authority: &Authority) -> String {
    match authority.host() {
        Host::Name(name) if authority.port() == 443 => format!("--allow {name}"),
        Host::Address(address) if address.is_ipv6() => format!("--allow '{authority}'"),
        _ => format!("--allow {authority}"),
    }
}

/// The flag that allows one request, or its host where the path cannot be written in an entry.
pub(super) fn allow_request(authority: &Authority, method: &Method, path: &RequestPath) -> String {
    let entry = format!("{method} {authority}{}", path.canonical());
    // The container chose the path, and the person pastes it: no quotes, no wildcards.
    let plain = !entry.contains(['\'', '*']) && entry.len() <= 200;
    match entry.parse::<Entry>() {
        Ok(_) if plain && path.ambiguity().is_none() => format!("--allow '{entry}'"),
        _ => allow_host(authority),
    }
}
