//! Heads, trailers, and what requests may ask for.

use http::{HeaderMap, HeaderValue};
use moat_provider_testkit::Canary;
use moat_proxy::scrub::{Form, Place, acceptable_codings, restrict_accept_encoding};

use crate::scrub_support::{name, scrubber};

#[test]
fn values_are_masked_whatever_they_are_called() {
    let canary = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
    let text = canary.text();
    let stars = "*".repeat(36);
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: Vec<u8>| {
        headers.append(name, HeaderValue::from_bytes(&value).unwrap());
    };
    add("location", format!("https://h/?t={text}&u=1").into_bytes());
    add("set-cookie", format!("a={text}; Path=/").into_bytes());
    add("set-cookie", b"b=2".to_vec());
    add("x-echo", [b"\xff\xfe", text.as_bytes(), b"\x80"].concat());
    add("x-clean", b"\xff\xfeghp_clean".to_vec());
    let mut sensitive = HeaderValue::from_str(text).unwrap();
    sensitive.set_sensitive(true);
    headers.append("authorization", sensitive);

    let found = scrubber(text, 4).scrub_headers(&mut headers, Place::Trailer);

    assert_eq!(headers["location"], format!("https://h/?t=ghp_{stars}&u=1"));
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, [&format!("a=ghp_{stars}; Path=/"), "b=2"]);
    assert_eq!(headers["x-echo"].as_bytes(), [b"\xff\xfeghp_", stars.as_bytes(), b"\x80"].concat());
    assert_eq!(headers["x-clean"].as_bytes(), b"\xff\xfeghp_clean");
    assert!(headers["authorization"].is_sensitive());
    assert_eq!(headers["authorization"], format!("ghp_{stars}"));
    let [hit] = found.hits() else { panic!("{found:?}") };
    assert_eq!(
        (hit.secret(), hit.form(), hit.place(), hit.count()),
        (&name("token"), Form::Exact, Place::Trailer, 4)
    );
}

#[test]
fn basic_credentials_are_found_whatever_the_user_is() {
    use base64::Engine;
    let canary = Canary::with_length("", 64);
    for user in ["", "u", "me", "oauth2", "x-access-token"] {
        let pair = format!("{user}:{}", canary.text());
        let basic = base64::engine::general_purpose::STANDARD.encode(pair);
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("Basic {basic}").parse().unwrap());
        let found = scrubber(canary.text(), 0).scrub_headers(&mut headers, Place::Head);
        assert_eq!(found.hits()[0].form(), Form::Base64);
        assert!(canary.find_in(headers["x-echo"].as_bytes()).is_none());
    }
}

#[test]
fn a_clean_head_is_not_touched() {
    let canary = Canary::with_length("", 64);
    let mut headers = HeaderMap::new();
    headers.insert("etag", HeaderValue::from_static("\"abc\""));
    let before = headers.clone();
    assert!(scrubber(canary.text(), 0).scrub_headers(&mut headers, Place::Head).is_empty());
    assert_eq!(headers, before);
}

#[test]
fn codings_that_cannot_be_scanned_are_not_asked_for() {
    for (asked, acceptable) in [
        ("gzip, deflate, br, zstd", "gzip, deflate, br, zstd"),
        ("gzip;q=1.0,identity; q=0.5, *;q=0", "gzip;q=1.0,identity; q=0.5, *;q=0"),
        ("gzip, deflate, br, zstd, dcb, dcz", "gzip, deflate, br, zstd"),
        ("GZIP;q=0.9, compress, *", "GZIP;q=0.9"),
        ("snappy", "identity"),
        ("*", "identity"),
        ("*;q=0.0, x-gzip", "*;q=0.0, x-gzip"),
        ("*;q=0.5, identity;q=0", "identity;q=0"),
        ("", ""),
    ] {
        assert_eq!(acceptable_codings(&HeaderValue::from_static(asked)), acceptable, "{asked}");
    }
    assert_eq!(acceptable_codings(&HeaderValue::from_bytes(b"gzip\xff").unwrap()), "identity");
}

#[test]
fn a_request_asks_for_nothing_that_cannot_be_scanned() {
    let mut headers = HeaderMap::new();
    assert!(!restrict_accept_encoding(&mut headers));
    headers.append("accept-encoding", HeaderValue::from_static("gzip, br"));
    assert!(!restrict_accept_encoding(&mut headers));
    headers.append("accept-encoding", HeaderValue::from_static("dcb"));
    headers.append("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,snappy"));
    assert!(restrict_accept_encoding(&mut headers));
    let values: Vec<_> = headers.get_all("accept-encoding").iter().collect();
    assert_eq!(values, ["gzip, br", "identity"]);
    assert_eq!(headers["grpc-accept-encoding"], "identity, gzip");

    headers.insert("range", HeaderValue::from_static("bytes=1-"));
    assert!(restrict_accept_encoding(&mut headers));
    assert_eq!(headers.get_all("accept-encoding").iter().collect::<Vec<_>>(), ["identity"]);
    assert!(!restrict_accept_encoding(&mut headers));
}
