//! Tries to keep a header that the proxy removes, or to lose one that it puts in.

use moat_proxy::Mode;

use crate::engine_support::{header_slot, host, name};
use crate::grants::*;
use crate::support::client::Http;

/// A vendor that takes a key in one of two headers.
fn keyed() -> (Grants, crate::engine_support::Grant) {
    use moat_provider_core::{HeaderTemplate, ProxyConfigurer, SlotGroup};
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    let slots = [header_slot("x-api-key"), header_slot("authorization")];
    let rule = grant.rule(host(VENDOR), name("x-api-key"), HeaderTemplate::Raw);
    grants.rules.credential(rule.group(SlotGroup::new("vendor", slots)));
    (grants, grant)
}

#[tokio::test]
async fn connection_does_not_take_a_credential_out_again() {
    let (grants, grant) = keyed();
    let world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["http/1.1"], |_| true).await;
    for named in ["x-api-key", "X-Api-Key, close", "authorization,x-api-key,te", "host"] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {VENDOR}\r\nX-Api-Key: {}\r\nConnection: {named}\r\n\
             Connection: close\r\n\r\n",
            grant.placeholder
        );
        let answer = world.wire(VENDOR, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{named}: {answer}");
        assert_eq!(vendor.last().all("x-api-key"), [grant.canary.text()], "{named}");
    }
}

#[tokio::test]
async fn one_credential_goes_out_whatever_came_in() {
    let (grants, grant) = keyed();
    let placeholder = grant.placeholder.as_str();
    for (mode, own) in [(Mode::Strict, false), (Mode::Permissive, true)] {
        let world = world(&grants, policy(mode)).await;
        let vendor = Vendor::tls(&world, VENDOR, &["http/1.1", "h2"], |_| true).await;
        let variants: &[&[(&str, &str)]] = &[
            &[("x-api-key", placeholder), ("x-api-key", placeholder)],
            &[("x-api-key", placeholder), ("x_api_key", "mine")],
            &[("x_api_key", "mine")],
            &[("x_api_key", placeholder)],
            &[("x-api-key", ""), ("authorization", "")],
            &[("authorization", "Bearer"), ("x-api-key", " ")],
            &[("authorization", &format!("Bearer {placeholder}"))],
        ];
        for version in Http::BOTH {
            for headers in variants {
                send(&world, VENDOR, version, "GET /", headers).await;
                let seen = vendor.last();
                assert_eq!(seen.all("x-api-key"), [grant.canary.text()], "{headers:?}");
                assert_eq!(seen.all("x_api_key"), [""; 0], "{headers:?}");
                assert_eq!(seen.all("authorization"), [""; 0], "{headers:?}");
            }
            vendor.forget();
            // Two that do not belong together are nobody's.
            let mixed = [("x-api-key", placeholder), ("authorization", "Bearer mine")];
            let answer = send(&world, VENDOR, version, "GET /", &mixed).await;
            assert_eq!(reason(&answer), Some("mixed-credentials"));
            let answer = send(&world, VENDOR, version, "GET /", &[("x-api-key", "mine")]).await;
            assert_eq!(answer.status() == 200, own, "{mode}");
            assert!(!vendor.holds(&grant.canary));
        }
    }
}

#[tokio::test]
async fn what_is_for_the_proxy_ends_at_the_proxy() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["http/1.1"], |_| true).await;
    let plain = Vendor::plain(&world, "plain.test", |_| true).await;
    let own = "Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\n\
               Proxy-Authenticate: x\r\nKeep-Alive: 5\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: {VENDOR}\r\n{own}Connection: close\r\n\r\n");
    world.wire(VENDOR, &request).await;
    world.direct("GET http://plain.test/", "Host: x\r\nProxy-Connection: keep-alive\r\n").await;
    for seen in vendor.seen().iter().chain(&plain.seen()) {
        for name in ["proxy-authorization", "proxy-connection", "proxy-authenticate", "keep-alive"]
        {
            assert_eq!(seen.all(name), [""; 0], "{name}");
        }
    }
    assert_eq!((vendor.origin.requests(), plain.origin.requests()), (1, 1));
}

#[tokio::test]
async fn the_bytes_of_a_query_are_the_clients() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    for query in [
        "b=2&a=1&a=0",
        "a;b=1",
        "a=%zz",
        "a=%7e%7E~",
        "a+b=c%20d",
        "=&&&=",
        "?a=?",
        "X-Amz-Signature=%2f%2F",
        "a=/../b",
        "%",
        "a=%00",
        "q=a'b|c{d}",
    ] {
        let target = format!("/p%41th?{query}");
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n");
        let answer = world.wire(VENDOR, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{query}: {answer}");
        assert_eq!(vendor.last().head.uri.path_and_query().unwrap(), target.as_str());
    }
}

/// A name for a request is the client's and the vendor's affair: none is made, and none is believed.
#[tokio::test]
async fn a_request_id_is_neither_made_nor_taken_over() {
    let (grants, _) = bearer();
    let mut world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["http/1.1", "h2"], |_| true).await;
    for version in Http::BOTH {
        let forged = "r1 \",\"status\":200,\"reason\":\"forged";
        let answer = send(&world, VENDOR, version, "GET /a", &[("x-request-id", forged)]).await;
        assert_eq!(vendor.last().all("x-request-id"), [forged]);
        assert!(!answer.headers().contains_key("x-request-id"));
        let line = world.record(|record| record.url.ends_with("/a")).await.to_json();
        assert!(!line.contains("forged"), "{line}");
        send(&world, VENDOR, version, "GET /b", &[]).await;
        assert_eq!(vendor.last().all("x-request-id"), [""; 0]);
        assert_eq!(vendor.last().all("via"), [""; 0]);
        assert_eq!(vendor.last().all("user-agent"), [""; 0]);
    }
}
