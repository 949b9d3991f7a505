//! Headers that must not reach a vendor, whatever the rules say.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, Entry, HOST, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::is_misleading_header;

/// Headers of one hop (RFC 9110, section 7.6.1) that nothing else below handles.
const ONE_HOP: [&str; 2] = ["keep-alive", "proxy"];
/// Among them `Proxy-Authorization`, which holds the token of the run.
const ONE_HOP_PREFIX: &str = "proxy-";

/// A client may not name these in `Connection`: they frame the message or say where it goes.
const KEPT: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];

/// Trailers that some server could take for the header of that name.
const CREDENTIAL_TRAILERS: [&str; 4] =
    ["authorization", "cookie", "www-authenticate", "authentication-info"];

/// Removes the headers of this hop, and those that the client names in `Connection`, so that it
/// cannot make the next hop drop what is injected afterwards.
///
/// What is left for the transport is framing, `Connection: upgrade` together with
/// `Upgrade: websocket`, and `TE: trailers`.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Most requests have none, and comparing names is cheaper than looking each of these up.
    let is_odd = |name: &str| matches!(name, "connection" | "te" | "upgrade") || is_one_hop(name);
    if !headers.keys().any(|name| is_odd(name.as_str())) {
        return;
    }
    let websocket = headers.contains_key(CONNECTION) && strip_connection(headers);
    if !websocket {
        headers.remove(UPGRADE);
    }
    if let Entry::Occupied(mut entry) = headers.entry(TE) {
        if entry.iter().any(|value| has_token(value, "trailers")) {
            entry.insert_mult(HeaderValue::from_static("trailers"));
        } else {
            entry.remove_entry_mult();
        }
    }
    remove_where(headers, is_one_hop);
}

fn is_one_hop(name: &str) -> bool {
    ONE_HOP.iter().any(|own| same_name(name, own)) || has_prefix(name, ONE_HOP_PREFIX)
}

/// Acts on `Connection`, and tells whether the request asks for a WebSocket.
fn strip_connection(headers: &mut HeaderMap) -> bool {
    let tokens: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        .collect();
    let websocket = tokens.iter().any(|token| token == "upgrade")
        && headers.get_all(UPGRADE).iter().any(|value| has_token(value, "websocket"));
    for token in &tokens {
        if token != "upgrade" && !KEPT.iter().any(|kept| same_name(kept.as_str(), token)) {
            remove_with_variants(headers, token);
        }
    }
    headers.remove(CONNECTION);
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    websocket
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| {
        value.split(',').any(|part| {
            let name = part.split(';').next().unwrap_or(part);
            name.trim().eq_ignore_ascii_case(token)
        })
    })
}

/// Removes headers that claim another method, URL or origin than the request has.
pub(crate) fn strip_overrides(headers: &mut HeaderMap) {
    remove_headers(headers, is_misleading_header);
}

/// Removes trailers that are named like credentials: a server that merges trailers into headers
/// would take them for such.
pub(super) fn strip_trailers<'a>(
    trailers: &mut HeaderMap,
    slots: impl Iterator<Item = &'a HeaderName> + Clone,
) {
    remove_where(trailers, |name| {
        CREDENTIAL_TRAILERS.iter().any(|own| same_name(name, own))
            || same_name(name, SET_COOKIE.as_str())
            || same_name(name, COOKIE.as_str())
            || has_prefix(name, ONE_HOP_PREFIX)
            || slots.clone().any(|slot| same_name(name, slot.as_str()))
    });
}

/// Removes a header in every spelling that servers take for it: CGI and its heirs read `X_Api_Key`
/// as `X-Api-Key`.
pub(super) fn remove_with_variants(headers: &mut HeaderMap, name: &str) {
    remove_where(headers, |other| same_name(other, name));
}

/// Removes the underscore variants of headers, and leaves the headers.
pub(super) fn remove_variants<'a>(
    headers: &mut HeaderMap,
    names: impl Iterator<Item = &'a HeaderName> + Clone,
) {
    let is = |name: &HeaderName, other: &str| name.as_str() == other;
    remove_where(headers, |other| {
        !names.clone().any(|name| is(name, other))
            && names.clone().any(|name| same_name(other, name.as_str()))
    });
}

/// Whether two names of headers are one to a server that does not tell `_` from `-`.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| folded(a) == folded(b))
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| same_name(start, prefix))
}

fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

fn remove_where(headers: &mut HeaderMap, is_doomed: impl Fn(&str) -> bool) {
    remove_headers(headers, |name| is_doomed(name.as_str()));
}

fn remove_headers(headers: &mut HeaderMap, is_doomed: impl Fn(&HeaderName) -> bool) {
    let doomed: Vec<HeaderName> = headers.keys().filter(|name| is_doomed(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}
