//! List-valued headers (RFC 9110, section 5.6.1).

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds the members of a value to a list-valued header, except those that are there: across lines,
/// and case-sensitively. A header to which nothing is added keeps its bytes.
pub(super) fn append(headers: &mut HeaderMap, name: &HeaderName, added: &HeaderValue) {
    let lines = || headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let is_there = |member: &[u8]| lines().flat_map(members).any(|own| own == member);
    let missing: Vec<&[u8]> =
        members(added.as_bytes()).filter(|member| !is_there(member)).collect();
    if missing.is_empty() {
        return;
    }
    let mut joined = BytesMut::new();
    for part in lines().map(<[u8]>::trim_ascii).chain(missing).filter(|part| !part.is_empty()) {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(part);
    }
    // Made of values of headers, so it is one.
    if let Ok(value) = HeaderValue::from_maybe_shared(joined.freeze()) {
        headers.insert(name, value);
    }
}

/// Iterates over the members of a list, without the empty ones. A comma inside of a quoted string
/// does not end a member.
pub(super) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    list.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}
