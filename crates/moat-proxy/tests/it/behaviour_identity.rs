//! Who is let in: the token of a run, in either scheme, and nothing that resembles it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use crate::support::client::{head, rest};
use crate::support::{Rules, TOKEN, World, soon};

#[tokio::test]
async fn a_token_lets_in_and_nothing_else_does() {
    let world = World::new(Rules::default()).await;
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let good = [
        basic(&format!("moat:{TOKEN}")),
        basic(&format!(":{TOKEN}")),
        basic(&format!("any one:{TOKEN}")),
        format!("Bearer {TOKEN}"),
        format!("bearer  {TOKEN}"),
        basic(&format!("x:{TOKEN}")).replace("Basic", "bAsIc"),
    ];
    for auth in &good {
        let (_, answer) = world.tunnel_as("a.test:443", auth).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{auth}: {answer}");
    }
    let (short, other) = (&TOKEN[..TOKEN.len() - 1], TOKEN.to_uppercase());
    let bad = [
        String::new(),
        TOKEN.to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {short}"),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {other}"),
        format!("Bearer {TOKEN}, Bearer {TOKEN}"),
        format!("Digest {TOKEN}"),
        basic(TOKEN),
        basic(&format!("{TOKEN}:")),
        basic(&format!("moat:{short}")),
        basic(&format!("moat:{TOKEN}:")),
        "Basic !".to_owned(),
        format!("Bearer {TOKEN}\r\nProxy-Authorization: Bearer {TOKEN}"),
        format!("x\r\nAuthorization: Bearer {TOKEN}"),
    ];
    for auth in &bad {
        let (_, answer) = world.tunnel_as("a.test:443", auth).await;
        assert!(answer.starts_with("HTTP/1.1 407"), "{auth:?}: {answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(lower.contains("proxy-authenticate: basic realm=\"moat\""), "{answer}");
        assert!(lower.contains(": proxy-auth\r\n"), "{answer}");
        assert!(!lower.contains("connection: close"), "{answer}");
        // Whether the token is missing or wrong is not told apart.
        assert!(!answer.contains(TOKEN) && !answer.contains(short), "{answer}");
    }
    assert_eq!(world.net.resolved(), [""; 0]);
}

#[tokio::test]
async fn every_way_in_asks_for_the_token() {
    let world = World::new(Rules::default()).await;
    for line in [
        "GET http://a.test/",
        "GET /",
        "GET /healthz",
        "OPTIONS *",
        "CONNECT a.test:443",
        "POST http://a.test/mcp/x",
    ] {
        let mut socket = world.socket().await;
        let request = format!("{line} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(head(&mut socket)).await;
        assert!(answer.starts_with("HTTP/1.1 407"), "{line}: {answer}");
    }
}

/// What comes before a request is no address of a client, and no request either.
#[tokio::test]
async fn a_preamble_is_refused() {
    let world = World::new(Rules::default()).await;
    for preamble in [
        &b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\0\x01\0\x02",
        b"\x05\x01\0",
        b"\x16\x03\x01\0\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut socket = world.socket().await;
        socket.write_all(preamble).await.unwrap();
        let request = format!(
            "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Bearer {TOKEN}\r\n\r\n"
        );
        _ = socket.write_all(request.as_bytes()).await;
        _ = socket.shutdown().await;
        let answer = soon(rest(&mut socket)).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{preamble:?}: {answer}");
    }
    assert_eq!(world.net.resolved(), [""; 0]);
}

#[tokio::test]
async fn a_silent_client_keeps_nobody_out() {
    let world = World::new(Rules::default()).await;
    let mut silent = Vec::new();
    for begun in ["", "CONN", "CONNECT a.test:443 HTTP/1.1\r\nHost: a"] {
        let mut socket = world.socket().await;
        socket.write_all(begun.as_bytes()).await.unwrap();
        silent.push(socket);
    }
    let (_, answer) = soon(world.tunnel("a.test:443")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
