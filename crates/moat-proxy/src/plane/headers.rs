//! Header fields that belong to one hop, and those that change when HTTP versions do.

use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
    HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode, response};

use crate::{BLOCKED, FAILED};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Removes what is meant for this hop (RFC 9110, section 7.6.1), before anything looks at the
/// request: a client could otherwise name a header in `Connection` that is put in later.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    let trailers = headers.get_all(TE).iter().any(|value| has_token(value, "trailers"));
    strip(headers, is_hop_by_hop);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes from an answer what is meant for this hop, the advice to go around the proxy, and what
/// only the proxy says.
pub(crate) fn strip_answer(head: &mut response::Parts) {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        // The coding says where the body ends (RFC 9112, section 6.3). A length beside it would be
        // the only one left after this hop, and cut the body short.
        head.headers.remove(CONTENT_LENGTH);
    }
    strip(&mut head.headers, |name| is_hop_by_hop(name) || is_ours_to_say(name));
    // RFC 9110, section 8.6: a client might wait for bytes that never come.
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    }
}

/// Whether a field is of one hop, besides those that `Connection` names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "http2-settings"
    )
}

/// Whether a field leads around the proxy, or is one that only the proxy sets.
fn is_ours_to_say(name: &str) -> bool {
    [ALT_SVC.as_str(), BLOCKED.as_str(), FAILED.as_str()].contains(&name)
}

/// Removes fields, and with `Connection` those that it names.
fn strip(headers: &mut HeaderMap, is_doomed: impl Fn(&str) -> bool) {
    // Most messages have none, and one look at each name is cheaper than looking up all that it
    // could be.
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| is_doomed(name.as_str())).cloned().collect();
    if doomed.contains(&CONNECTION) {
        for name in named_in_connection(headers) {
            headers.remove(name);
        }
    }
    for name in doomed {
        headers.remove(name);
    }
}

/// Reads the field names in `Connection`. `Host` and the length are no options of a connection.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect()
}

/// Whether a comma-separated list holds a token, in any case.
pub(crate) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value
        .to_str()
        .is_ok_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

/// Joins what HTTP/2 splits for compression (RFC 9113, section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let all: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Values of header fields stay valid when they are joined.
    if let Ok(mut joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        joined.set_sensitive(true);
        headers.insert(COOKIE, joined);
    }
}

/// Removes trailer fields that would steer framing, routing or authentication (RFC 9110, section
/// 6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    for name in [
        AUTHORIZATION,
        PROXY_AUTHORIZATION,
        PROXY_AUTHENTICATE,
        COOKIE,
        SET_COOKIE,
        HOST,
        CONTENT_LENGTH,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        CONNECTION,
        KEEP_ALIVE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        trailers.remove(name);
    }
}

/// Whether the transfer coding, if any, is exactly `chunked`, once.
pub(crate) fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    #[test]
    fn what_connection_names_goes_and_the_host_stays() {
        let mut headers = map(&[
            ("host", "h"),
            ("connection", "close, X-Api-Key"),
            ("connection", "host,authorization"),
            ("x-api-key", "k"),
            ("authorization", "a"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip, Trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("accept", "*/*"),
        ]);
        strip_request(&mut headers);
        assert_eq!(headers, map(&[("host", "h"), ("accept", "*/*"), ("te", "trailers")]));
    }

    #[test]
    fn answers_lose_their_alternative_services_and_what_looks_like_ours() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.headers = map(&[
            ("alt-svc", "h3=\":443\""),
            ("keep-alive", "5"),
            ("x-moat-error", "dns"),
            ("x-moat-blocked", "policy"),
            ("content-length", "5"),
            ("etag", "e"),
        ]);
        strip_answer(&mut head);
        assert_eq!(head.headers, map(&[("content-length", "5"), ("etag", "e")]));
        head.status = StatusCode::NO_CONTENT;
        strip_answer(&mut head);
        assert_eq!(head.headers, map(&[("etag", "e")]));
    }

    #[test]
    fn split_cookies_are_joined_in_order() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")]);
        join_cookies(&mut headers);
        let all: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(all, ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn one_chunked_coding_is_plain_framing() {
        assert!(is_plainly_framed(&map(&[])));
        assert!(is_plainly_framed(&map(&[("transfer-encoding", "Chunked")])));
        for odd in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;q=1"] {
            assert!(!is_plainly_framed(&map(&[("transfer-encoding", odd)])), "{odd}");
        }
        let twice = [("transfer-encoding", "identity"), ("transfer-encoding", "chunked")];
        assert!(!is_plainly_framed(&map(&twice)));
    }
}
