//! Headers that never reach a vendor.

use http::HeaderMap;
use moat_provider_core::{HeaderTemplate, ProxyConfigurer};
use moat_proxy::engine::Generation;

use crate::engine_support::*;

fn generation() -> (Generation, Grant) {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com"));
    let rule = grant.rule(host("api.example.com"), name("x-vendor-key"), HeaderTemplate::Raw);
    world.rules.credential(rule.fill(moat_provider_core::Fill::PlaceholderOnly));
    (world.build(), grant)
}

/// Without this a client could have the next hop drop what was injected.
#[test]
fn headers_named_in_connection_go_before_injection() {
    let (generation, grant) = generation();
    for connection in ["authorization", "keep-alive, Authorization", "AUTHORIZATION,close"] {
        let headers =
            [("connection", connection), ("authorization", "Bearer own"), ("keep-alive", "5")];
        let mut head = request("GET https://api.example.com/", &headers);
        forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), grant.expected_bearer(), "{connection}");
        assert!(!head.headers.contains_key("connection"));
        assert!(!head.headers.contains_key("keep-alive"));
    }
}

#[test]
fn connection_cannot_remove_what_frames_or_addresses_the_message() {
    let (generation, _) = generation();
    let headers = [
        ("connection", "host, content-length, Content_Length, transfer-encoding, x-gone"),
        ("connection", "x-also-gone"),
        ("host", "api.example.com"),
        ("content-length", "0"),
        ("x-gone", "1"),
        ("x_also_gone", "1"),
        ("x-kept", "1"),
    ];
    let mut head = request("POST https://api.example.com/", &headers);
    forward(&generation, &mut head);
    let mut left: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["authorization", "content-length", "host", "x-kept"]);
}

#[test]
fn one_upgrade_is_left_for_the_transport() {
    let (generation, _) = generation();
    let upgrade = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
    let mut head = request("GET https://api.example.com/", &upgrade);
    forward(&generation, &mut head);
    assert_eq!((only(&head, "connection"), only(&head, "upgrade")), ("upgrade", "websocket"));
    for headers in [
        &[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "x")][..],
        &[("upgrade", "websocket")],
        &[("connection", "close"), ("upgrade", "websocket")],
    ] {
        let mut head = request("GET https://api.example.com/", headers);
        forward(&generation, &mut head);
        for gone in ["connection", "upgrade", "http2-settings"] {
            assert!(!head.headers.contains_key(gone), "{headers:?}");
        }
    }
}

#[test]
fn of_te_only_trailers_is_left() {
    let (generation, _) = generation();
    for (sent, left) in
        [("trailers", Some("trailers")), ("gzip, Trailers;q=0.5", Some("trailers")), ("gzip", None)]
    {
        let mut head = request("GET https://api.example.com/", &[("te", sent)]);
        forward(&generation, &mut head);
        assert_eq!(head.headers.get("te").map(|value| value.to_str().unwrap()), left);
    }
}

/// `Proxy-Authorization` holds the token of the run: it goes nowhere, with or without rules.
#[test]
fn headers_for_the_proxy_end_here_on_every_host() {
    let (generation, _) = generation();
    for name in ["api.example.com", "other.example.com"] {
        let headers = [
            ("proxy-authorization", "Basic x"),
            ("proxy_authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("proxy", "http://evil.example.net"),
            ("x-proxy", "kept"),
        ];
        let mut head = request(&format!("GET https://{name}/"), &headers);
        forward(&generation, &mut head);
        head.headers.remove("authorization");
        assert_eq!(head.headers.len(), 1, "{:?}", head.headers);
    }
}

#[test]
fn headers_that_claim_another_request_are_removed_where_rules_are() {
    let (generation, _) = generation();
    let names = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "x-original-url",
        "x-rewrite-url",
        "x_rewrite_url",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x_forwarded_prefix",
        "forwarded",
    ];
    let headers: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
    let mut head = request("GET https://api.example.com/", &headers);
    forward(&generation, &mut head);
    head.headers.remove("authorization");
    assert!(head.headers.is_empty(), "{:?}", head.headers);
    let mut head = request("GET https://other.example.com/", &headers);
    forward(&generation, &mut head);
    assert_eq!(head.headers.len(), names.len());
}

#[test]
fn trailers_that_are_named_like_credentials_are_dropped() {
    let (generation, _) = generation();
    let trailers = || -> HeaderMap {
        ["authorization", "x-vendor-key", "x_vendor_key", "cookie", "set-cookie", "grpc-status"]
            .iter()
            .map(|trailer| (name(trailer), "x".parse().unwrap()))
            .collect()
    };
    let left = |host: &str| -> Vec<String> {
        let mut trailers = trailers();
        generation.clean_trailers(host, 443, &mut trailers);
        let mut names: Vec<_> = trailers.keys().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(left("api.example.com"), ["grpc-status"]);
    assert_eq!(left("other.example.com"), ["grpc-status", "x-vendor-key", "x_vendor_key"]);
}

/// Encoding or ordering a query anew breaks signed URLs.
#[test]
fn the_target_of_a_request_keeps_its_bytes() {
    let (generation, _) = generation();
    for target in ["/a%2Fb/../c//d;e=1?b=2&a=1&a=%7E;x&=&%zz+", "/?", "/", "/?&&"] {
        let mut head = request(&format!("GET https://api.example.com{target}"), &[]);
        let before = head.uri.path_and_query().unwrap().as_str().to_owned();
        forward(&generation, &mut head);
        assert_eq!(head.uri.path_and_query().unwrap().as_str(), before);
    }
}
