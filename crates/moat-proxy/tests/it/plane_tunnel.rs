//! Raw tunnels, limits, stopping, swapping.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http_body_util::BodyExt;
use moat_provider_core::Secret;
use moat_proxy::plane::seam::{
    Action, ConnectVerdict, ForwardPlan, NotTls, Note, TunnelPlan, Verdict,
};
use moat_proxy::plane::{Limits, RunRegistration};
use moat_proxy::{FAILED, Reason, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::support::client::{Http, basic, empty, head, rest};
use crate::support::origin::{Origin, raw, text};
use crate::support::{Rules, World, forward, soon};

fn passing() -> Rules {
    Rules::default().on_connect(|_| ConnectVerdict::Tunnel(TunnelPlan::default()))
}

/// Sends back what came, after the end.
async fn reverse(mut tcp: TcpStream) {
    let mut all = Vec::new();
    tcp.read_to_end(&mut all).await.unwrap();
    all.reverse();
    tcp.write_all(&all).await.unwrap();
}

#[tokio::test]
async fn the_end_of_one_direction_leaves_the_other_open() {
    let mut world = World::new(passing()).await;
    raw(&world.net, "a.test", 22, reverse).await;
    let (mut socket, answer) = world.tunnel("a.test:22").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    socket.write_all(b"abc").await.unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(soon(rest(&mut socket)).await, "cba");
    drop(socket);
    let record = world.record(|_| true).await;
    assert_eq!((record.method.as_str(), record.url.as_str()), ("CONNECT", "a.test:22"));
    assert_eq!((record.up, record.down, record.reason), (3, 3, None));
}

#[tokio::test]
async fn a_tunnel_to_a_closed_port_is_refused_and_the_connection_stays_usable() {
    let world = World::new(passing()).await;
    world.net.add("a.test", 1, "127.0.0.1:9".parse().unwrap());
    raw(&world.net, "a.test", 22, reverse).await;
    let (mut socket, answer) = world.tunnel("a.test:23").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains(&format!("{FAILED}: connection-refused")), "{answer}");
    let length: usize = answer
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split('\r')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    socket.read_exact(&mut vec![0; length]).await.unwrap();
    let request = format!(
        "CONNECT a.test:22 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {}\r\n\r\n",
        basic()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_not_tls_passes_only_where_the_verdict_says_so() {
    let rules = Rules::default().on_connect(|authority| {
        let pass = authority.host().as_text() == "pass.test";
        ConnectVerdict::Intercept(if pass { NotTls::Tunnel } else { NotTls::Close })
    });
    let mut limits = Limits::default();
    limits.server_speaks_first = Duration::from_millis(20);
    limits.client_handshake = Duration::from_millis(40);
    let mut world = World::with(rules, limits, |builder| builder).await;
    for host in ["pass.test", "close.test"] {
        raw(&world.net, host, 25, |mut tcp| async move {
            tcp.write_all(b"220 hello\r\n").await.unwrap();
            assert_eq!(rest(&mut tcp).await, "QUIT");
        })
        .await;
    }
    // Neither speaks: the server goes first.
    let (mut socket, _) = world.tunnel("pass.test:25").await;
    let mut hello = [0; 11];
    soon(socket.read_exact(&mut hello)).await.unwrap();
    socket.write_all(b"QUIT").await.unwrap();
    drop(socket);
    let (mut socket, _) = world.tunnel("close.test:25").await;
    assert_eq!(soon(rest(&mut socket)).await, "");
    assert_eq!(
        world.record(|record| record.url.starts_with("close")).await.reason,
        Some("not-tls")
    );
    // The client speaks, but not TLS.
    let (mut socket, _) = world.tunnel("close.test:25").await;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(soon(rest(&mut socket)).await, "");
    assert_eq!(world.net.dials(), 1);
}

#[tokio::test]
async fn bytes_that_come_with_connect_are_not_lost() {
    let world = World::new(passing()).await;
    raw(&world.net, "a.test", 22, reverse).await;
    let mut socket = world.socket().await;
    let request = format!(
        "CONNECT a.test:22 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {}\r\n\r\nabc",
        basic()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 200"));
    socket.shutdown().await.unwrap();
    assert_eq!(soon(rest(&mut socket)).await, "cba");
}

#[tokio::test]
async fn a_run_has_so_many_tunnels_and_no_more() {
    let mut limits = Limits::default();
    limits.tunnels = 2;
    let world = World::with(Rules::default(), limits, |builder| builder).await;
    let first = world.tunnel("a.test:443").await;
    let _second = world.tunnel("a.test:443").await;
    let (_, answer) = world.tunnel("a.test:443").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("too-many-tunnels"), "{answer}");
    drop(first);
    let freed = async {
        while !world.tunnel("a.test:443").await.1.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
    };
    soon(freed).await;
}

#[tokio::test]
async fn a_silent_tunnel_closes() {
    let mut limits = Limits::default();
    limits.tunnel_idle = Duration::from_millis(30);
    let mut world = World::with(passing(), limits, |builder| builder).await;
    raw(&world.net, "a.test", 22, reverse).await;
    let (mut socket, _) = world.tunnel("a.test:22").await;
    assert_eq!(soon(rest(&mut socket)).await, "");
    assert_eq!(world.record(|_| true).await.reason, Some("idle-timeout"));
}

#[tokio::test]
async fn stopping_a_run_closes_everything_it_has_open() {
    let rules = Rules::default().on_connect(|authority| match authority.port() {
        443 => ConnectVerdict::Intercept(NotTls::Close),
        _ => ConnectVerdict::Tunnel(TunnelPlan::default()),
    });
    let world = World::new(rules).await;
    raw(&world.net, "raw.test", 22, |mut tcp| async move {
        tcp.write_all(b"hi").await.unwrap();
        rest(&mut tcp).await;
    })
    .await;
    Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        // A body without an end.
        http::Response::new(request.into_body().map_err(Into::into).boxed_unsync())
    })
    .await;
    Origin::plain(&world.net, "plain.test", |_| async { std::future::pending().await }).await;

    let (mut tunnel, _) = world.tunnel("raw.test:22").await;
    let mut hi = [0; 2];
    tunnel.read_exact(&mut hi).await.unwrap();
    let mut idle = world.tls("a.test", &["h2"]).await;
    let mut plain = world.socket().await;
    let request = format!(
        "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nProxy-Authorization: {}\r\n\r\n",
        basic()
    );
    plain.write_all(request.as_bytes()).await.unwrap();
    let mut streams = Vec::new();
    for version in Http::BOTH {
        let mut client = world.client("a.test", version).await;
        let (feed, receiver) = tokio::sync::oneshot::channel::<()>();
        let body = http_body_util::BodyExt::boxed_unsync(Endless(receiver));
        let request = client.request("POST", "/").body(body).unwrap();
        let answer = soon(client.send(request)).await.unwrap();
        let mut waiting = world.client("a.test", version).await;
        let request = waiting.request("GET", "/never").body(empty()).unwrap();
        let pending = tokio::spawn(async move { waiting.send(request).await });
        streams.push((answer, pending, client, feed));
    }
    // Whoever waits for an answer is at the host by now.
    soon(async {
        while world.net.dials() < 3 {
            tokio::task::yield_now().await
        }
    })
    .await;

    let World { run, address, .. } = world;
    let begun = Instant::now();
    run.stop().await;
    assert_eq!(soon(rest(&mut tunnel)).await, "");
    soon(rest(&mut idle)).await;
    let answer = soon(rest(&mut plain)).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    for (answer, pending, _client, _feed) in streams {
        assert!(soon(answer.into_body().collect()).await.is_err());
        assert!(soon(pending).await.unwrap().is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "CONNECT a.test:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {}\r\n\r\n",
        basic()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 407"));
}

/// A body that never comes.
struct Endless(tokio::sync::oneshot::Receiver<()>);

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|_| None)
    }
}

#[tokio::test]
async fn a_swap_is_seen_by_the_next_request_of_an_open_tunnel() {
    for version in Http::BOTH {
        let tag = |value: &'static str| {
            Rules::default().on_request(move |head, _| {
                head.headers.insert("x-tag", http::HeaderValue::from_static(value));
                forward(ForwardPlan::default())
            })
        };
        let world = World::new(tag("old")).await;
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |request| async move {
            text(request.headers()["x-tag"].to_str().unwrap().to_owned())
        })
        .await;
        let mut sender = world.client("a.test", version).await;
        assert_eq!(sender.get("/").await.body(), "old");
        world.run.swap(Arc::new(tag("new")));
        assert_eq!(sender.get("/").await.body(), "new");
        world.run.swap(Arc::new(Rules::default().on_request(|_, _| Verdict {
            action: Action::Answer(
                Refusal::new(Reason::Custom("revoked")).about("gone").response(),
            ),
            note: Note { reason: Some("revoked"), ..Note::default() },
        })));
        assert_eq!(sender.get("/").await.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_connection_in_use_while_rules_are_swapped_is_not_used_again() {
    for version in Http::BOTH {
        let world = World::new(Rules::default()).await;
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let wait = Arc::clone(&gate);
        let alpn = [version.alpn()];
        let origin = Origin::tls(&world.origins, &world.net, "a.test", &alpn, move |_| {
            let wait = Arc::clone(&wait);
            async move {
                wait.acquire().await.unwrap().forget();
                text("x")
            }
        })
        .await;
        let mut sender = world.client("a.test", version).await;
        let first = tokio::spawn(async move {
            let answer = sender.get("/").await;
            (answer, sender)
        });
        soon(async {
            while origin.requests() < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world.run.swap(Arc::new(Rules::default()));
        gate.add_permits(3);
        let (answer, mut sender) = soon(first).await.unwrap();
        assert_eq!(answer.body(), "x");
        for _ in 0..2 {
            assert_eq!(sender.get("/").await.body(), "x");
        }
        assert_eq!((origin.connections(), origin.requests()), (2, 3), "{version:?}");
    }
}

#[tokio::test]
async fn two_runs_share_neither_rules_nor_connections() {
    let world = World::new(Rules::default()).await;
    let origin =
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |_| async { text("x") }).await;
    assert_eq!(world.client("a.test", Http::Two).await.get("/").await.status(), 200);
    let dir = std::env::temp_dir().join(format!("moat-plane-{}", std::process::id()));
    _ = std::fs::remove_file(&dir);
    let listener = UnixListener::bind(&dir).unwrap();
    let rules = Rules::default()
        .on_request(|_, _| forward(ForwardPlan { identity: 7, ..ForwardPlan::default() }));
    let other = RunRegistration::new("r2".parse().unwrap(), Arc::new(rules));
    let other = world.proxy.register(other).unwrap();
    let serving = tokio::spawn(world.proxy.serve_unix(listener, &other));
    // The socket is the identity: no token.
    let mut socket = UnixStream::connect(&dir).await.unwrap();
    let mut idle = UnixStream::connect(&dir).await.unwrap();
    _ = std::fs::remove_file(&dir);
    socket.write_all(b"CONNECT a.test:443 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 200"));
    let name = "a.test".try_into().unwrap();
    let mut stream = soon(world.connector(&["http/1.1"]).connect(name, socket)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert!(soon(rest(&mut stream)).await.ends_with("x"));
    assert_eq!(origin.connections(), 2);
    other.stop().await;
    assert_eq!(soon(rest(&mut idle)).await, "");
    soon(serving).await.unwrap();
    assert_eq!(world.client("a.test", Http::Two).await.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_token_is_taken_once_and_only_from_its_container() {
    let world = World::new(Rules::default()).await;
    let token = |text: &str| Secret::new(text.to_owned());
    let registration =
        |id: &str| RunRegistration::new(id.parse().unwrap(), Arc::new(Rules::default()));
    let again = world.proxy.register(registration("r2").token(&token(crate::support::TOKEN)));
    assert!(again.is_err());
    let bound = registration("r3").token(&token("other")).peer([192, 0, 2, 7].into());
    let _bound = world.proxy.register(bound).unwrap();
    let mut socket = world.socket().await;
    let request =
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer other\r\n\r\n";
    socket.write_all(request).await.unwrap();
    assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 407"));
    // The run of the token that was refused twice still works.
    assert!(world.tunnel("a.test:443").await.1.starts_with("HTTP/1.1 200"));
}
