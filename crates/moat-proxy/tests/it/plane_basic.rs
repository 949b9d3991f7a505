//! The plain way: identity, tunnels, both HTTP versions on both hops, the pool.

use http::StatusCode;
use http_body_util::BodyExt;
use moat_proxy::plane::seam::ConnectVerdict;
use moat_proxy::{BLOCKED, FAILED, Reason, Refusal};
use tokio::io::AsyncWriteExt;

use crate::support::client::{Http, basic, head};
use crate::support::origin::{Origin, text};
use crate::support::{Rules, World, soon};

#[tokio::test]
async fn all_four_combinations_of_versions_work() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let mut world = World::new(Rules::default()).await;
            Origin::tls(&world.origins, &world.net, "a.test", &[origin.alpn()], |request| async {
                let (head, body) = request.into_parts();
                let version = head.version;
                let host = head.headers.get("host").cloned();
                let host = host.map(|host| host.to_str().unwrap().to_owned());
                let host = host.or(head.uri.authority().map(ToString::to_string)).unwrap();
                let body = body.collect().await.unwrap().to_bytes();
                text(format!("{version:?} {host} {} {}", head.uri.path(), body.len()))
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let answer = sender.post("/p?q=secret", vec![7; 300_000]).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let version = if origin == Http::One { "HTTP/1.1" } else { "HTTP/2.0" };
            assert_eq!(answer.body(), &format!("{version} a.test /p 300000"), "{client:?}");
            let answer = sender.get("/empty").await;
            assert_eq!(answer.body(), &format!("{version} a.test /empty 0"));
            let record = world.record(|record| record.method == "POST").await;
            assert_eq!(record.url, "https://a.test/p");
            assert_eq!((record.status, record.up), (Some(200), 300_000));
            assert_eq!(record.client_protocol, client.alpn());
            assert_eq!(record.upstream_protocol, Some(origin.alpn()));
            assert_eq!(record.reason, None);
        }
    }
}

#[tokio::test]
async fn a_connection_stays_usable_after_407() {
    let world = World::new(Rules::default()).await;
    let mut socket = world.socket().await;
    for wrong in
        ["", "Proxy-Authorization: Bearer wrong\r\n", "Proxy-Authorization: Basic eA==\r\n"]
    {
        let request = format!("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n{wrong}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(head(&mut socket)).await;
        assert!(answer.starts_with("HTTP/1.1 407"), "{answer}");
        assert!(answer.contains("proxy-authenticate: Basic realm=\"moat\""), "{answer}");
        let length: usize = answer
            .split("content-length: ")
            .nth(1)
            .unwrap()
            .split('\r')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let mut body = vec![0; length];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut body).await.unwrap();
    }
    let auth = basic();
    let request = format!(
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nProxy-Authorization: {auth}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connect_of_http_1_0_is_accepted() {
    let world = World::new(Rules::default()).await;
    let mut socket = world.socket().await;
    let auth = basic();
    let request = format!("CONNECT a.test:443 HTTP/1.0\r\nProxy-Authorization: {auth}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let answer = soon(head(&mut socket)).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let name = "a.test".try_into().unwrap();
    soon(world.connector(&[]).connect(name, socket)).await.unwrap();
}

#[tokio::test]
async fn a_refused_tunnel_says_why_and_nothing_is_resolved() {
    let rules = Rules::default().on_connect(|authority| {
        assert_eq!(authority.to_string(), "denied.test:443");
        ConnectVerdict::Refuse(Refusal::new(Reason::Custom("strict")).about("not on the list"))
    });
    let mut world = World::new(rules).await;
    let (_, answer) = world.tunnel("Denied.Test.:443").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains(&format!("{BLOCKED}: strict")), "{answer}");
    assert_eq!(world.net.resolved(), Vec::<String>::new());
    let record = world.record(|_| true).await;
    assert_eq!((record.method.as_str(), record.status), ("CONNECT", Some(403)));
    assert_eq!(record.reason, Some("strict"));
}

#[tokio::test]
async fn a_malformed_authority_is_400() {
    let world = World::new(Rules::default()).await;
    for odd in ["a.test", "a.test:0", "u@a.test:443", "127.1:443", "a.test:70000"] {
        let (_, answer) = world.tunnel(odd).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{odd}: {answer}");
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_502_inside_the_tunnel() {
    let world = World::new(Rules::default()).await;
    world.net.add("closed.test", 1, "127.0.0.1:9".parse().unwrap());
    for version in Http::BOTH {
        let answer = world.client("unknown.test", version).await.get("/").await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(answer.headers()[FAILED], "name-lookup-failed");
        let answer = world.client("closed.test", version).await.get("/").await;
        assert_eq!(answer.headers()[FAILED], "connection-refused");
    }
}

#[tokio::test]
async fn tunnels_of_a_run_share_connections_to_a_host() {
    for version in Http::BOTH {
        let world = World::new(Rules::default()).await;
        let alpn = [version.alpn()];
        let origin =
            Origin::tls(&world.origins, &world.net, "a.test", &alpn, |_| async { text("x") }).await;
        for _ in 0..3 {
            let mut sender = world.client("a.test", version).await;
            for _ in 0..4 {
                assert_eq!(sender.get("/").await.body(), "x");
            }
        }
        assert_eq!((origin.connections(), origin.requests()), (1, 12), "{version:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_not_talked_to() {
    let world = World::new(Rules::default()).await;
    let stranger = crate::support::origin::OriginCa::new();
    let origin =
        Origin::tls(&stranger, &world.net, "a.test", &["h2"], |_| async { text("x") }).await;
    let answer = world.client("a.test", Http::Two).await.get("/").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()[FAILED], "tls-verify");
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_host_alone() {
    let world = World::new(Rules::default()).await;
    for (host, status) in [("mutual.test", "200"), ("mutual.other.test", "502")] {
        Origin::tls(&world.origins, &world.net, host, &["h2"], |_| async { text("x") }).await;
        let answer = world.client(host, Http::Two).await.get("/").await;
        assert_eq!(answer.status().as_str(), status, "{host}");
    }
}
