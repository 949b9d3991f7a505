//! WebSocket, and what is not allowed to become one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use moat_proxy::FAILED;
use moat_proxy::plane::seam::{
    Action, AnswerBody, AnswerHandler, BodyMap, Cut, ForwardPlan, Note, Upgrade, UpgradedMaps,
    Verdict,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Http, Inner, Payload, empty, head, rest};
use crate::support::origin::script;
use crate::support::{Rules, World, forward, soon};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub(crate) fn accept(request: &str) -> String {
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap());
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Serves a host that answers a handshake with these lines, and then echoes in upper case.
async fn websocket(world: &World, lines: &'static str) {
    script(
        &world.origins,
        &world.net,
        "a.test",
        &["h2", "http/1.1"],
        move |mut stream| async move {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let request = head(&mut stream).await;
            assert!(request.starts_with("GET /chat?x=1 HTTP/1.1\r\n"), "{request}");
            let lower = request.to_ascii_lowercase();
            for line in [
                "upgrade: websocket",
                "connection: upgrade",
                "sec-websocket-version: 13",
                "host: a.test",
            ] {
                assert!(lower.contains(line), "{request}");
            }
            let answer = lines.replace("ACCEPT", &accept(&request));
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                buffer[..count].make_ascii_uppercase();
                stream.write_all(&buffer[..count]).await.unwrap();
            }
            _ = stream.shutdown().await;
        },
    )
    .await;
}

/// Connects with HTTP/2 and waits for the settings, which say whether RFC 8441 is spoken.
async fn warm(world: &World) -> hyper::client::conn::http2::SendRequest<Payload> {
    let mut client = world.client("a.test", Http::Two).await;
    assert_eq!(client.get("/warm").await.status(), StatusCode::IM_A_TEAPOT);
    let Inner::Two(sender) = client.inner else { unreachable!() };
    sender
}

/// Waits for the settings by having a method refused.
pub(crate) async fn settled(sender: &mut hyper::client::conn::http2::SendRequest<Payload>) {
    let request = Request::builder().method("TRACE").uri("https://a.test/").body(empty()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// Answers the request that [`warm`] sends.
fn teapot() -> Verdict {
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::IM_A_TEAPOT;
    Verdict { action: Action::Answer(answer), note: Note::default() }
}

const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: p\r\nAlt-Svc: h3\r\n\r\n";

pub(crate) fn handshake(extra: &str) -> String {
    format!(
        "GET /chat?x=1 HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

#[tokio::test]
async fn a_websocket_of_http_1_works() {
    let rules = Rules::default().on_request(|head, place| {
        assert_eq!(place.upgrade, Some(Upgrade::WebSocket));
        assert_eq!(head.method, "GET");
        assert!(!head.headers.contains_key("connection"));
        forward(ForwardPlan::default())
    });
    let mut world = World::new(rules).await;
    websocket(&world, YES).await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    stream.write_all(handshake("").as_bytes()).await.unwrap();
    let answer = soon(head(&mut stream)).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    for line in ["upgrade: websocket", "connection: upgrade", "sec-websocket-protocol: p"] {
        assert!(answer.contains(line), "{answer}");
    }
    assert!(answer.contains(&accept(&handshake("")).to_ascii_lowercase()), "{answer}");
    assert!(!answer.contains("alt-svc"), "{answer}");
    for _ in 0..2 {
        stream.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        soon(stream.read_exact(&mut echo)).await.unwrap();
        assert_eq!(&echo, b"HELLO");
    }
    stream.shutdown().await.unwrap();
    assert_eq!(soon(rest(&mut stream)).await, "");
    let record = world.record(|_| true).await;
    assert_eq!((record.status, record.up, record.down), (Some(101), 10, 10));
}

#[tokio::test]
async fn a_websocket_of_http_2_becomes_one_of_http_1() {
    let rules = Rules::default().on_request(|head, place| {
        if head.uri.path() == "/warm" {
            return teapot();
        }
        assert_eq!((place.upgrade, head.method.as_str()), (Some(Upgrade::WebSocket), "GET"));
        forward(ForwardPlan::default())
    });
    let world = World::new(rules).await;
    websocket(&world, YES).await;
    let mut sender = warm(&world).await;
    let mut request = Request::builder()
        .method("CONNECT")
        .uri("https://a.test/chat?x=1")
        .header("sec-websocket-version", "13")
        .body(empty())
        .unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let mut answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "p");
    assert!(!answer.headers().contains_key("sec-websocket-accept"));
    let mut stream = TokioIo::new(soon(hyper::upgrade::on(&mut answer)).await.unwrap());
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    soon(stream.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"HELLO");
    stream.shutdown().await.unwrap();
    assert_eq!(soon(rest(&mut stream)).await, "");
}

#[tokio::test]
async fn only_a_valid_101_switches() {
    let wrong = [
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
    ];
    for lines in wrong {
        let world = World::new(Rules::default()).await;
        websocket(&world, lines).await;
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        stream.write_all(handshake("").as_bytes()).await.unwrap();
        let answer = soon(head(&mut stream)).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.contains(&format!("{FAILED}: upstream-protocol")), "{answer}");
    }
}

#[tokio::test]
async fn a_refused_handshake_is_an_ordinary_answer() {
    for (lines, over_http2) in [
        ("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno", "426"),
        // Over HTTP/2 a success would open the WebSocket.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "502"),
    ] {
        let world = World::new(Rules::default().on_request(|head, _| match head.uri.path() {
            "/warm" => teapot(),
            _ => crate::support::pass(),
        }))
        .await;
        websocket(&world, lines).await;
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        stream.write_all(handshake("").as_bytes()).await.unwrap();
        let answer = soon(head(&mut stream)).await;
        assert!(answer.starts_with(&lines[..12]), "{answer}");
        let mut body = [0; 2];
        soon(stream.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, b"no");
        let mut sender = warm(&world).await;
        let request = Request::builder().method("CONNECT").uri("https://a.test/chat?x=1");
        let mut request = request.body(empty()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status().as_str(), over_http2);
    }
}

#[tokio::test]
async fn a_malformed_handshake_is_refused_and_other_upgrades_are_passed_over() {
    let rules = Rules::default().on_request(|head, place| {
        assert_eq!(place.upgrade, None);
        assert!(!head.headers.contains_key("upgrade"));
        assert!(!head.headers.contains_key("http2-settings"));
        crate::support::pass()
    });
    let world = World::new(rules).await;
    script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
        let request = head(&mut stream).await.to_ascii_lowercase();
        assert!(!request.contains("upgrade") && !request.contains("http2-settings"), "{request}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let good = handshake("");
    let bad = [
        good.replace(KEY, "c2hvcnQ="),
        good.replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""),
        good.replace("Upgrade: websocket", "Upgrade: websocket, h2c"),
        good.replace("GET", "POST"),
        handshake("Content-Length: 3\r\n"),
        handshake(&format!("Sec-WebSocket-Key: {KEY}\r\n")),
    ];
    for request in bad {
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(head(&mut stream)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
        assert!(answer.contains("upgrade-refused"), "{answer}");
    }
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 200"));
}

/// A close frame with code 1008 (RFC 6455, section 7.4.1).
const CLOSE: &[u8] = b"\x88\x02\x03\xf0";

#[derive(Debug)]
struct Masking;

impl BodyMap for Masking {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        if data.starts_with(b"CUT") {
            return Err(Cut::new("secret-in-answer").with_last(CLOSE.into()));
        }
        Ok(String::from_utf8_lossy(&data).replace("SECRET", "******").into())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::from_static(b"bye"))
    }
}

#[derive(Debug)]
struct Masked;

impl AnswerHandler for Masked {
    fn head(&mut self, head: &mut http::response::Parts) -> AnswerBody {
        assert_eq!(head.status, 101);
        head.headers.insert("x-seen", http::HeaderValue::from_static("yes"));
        AnswerBody::Stream
    }

    fn upgraded(&mut self) -> UpgradedMaps {
        UpgradedMaps { up: None, down: Some(Box::new(Masking)) }
    }
}

#[tokio::test]
async fn a_websocket_that_is_cut_closes_with_a_code() {
    let masked = || ForwardPlan { answer: Some(Box::new(Masked)), ..ForwardPlan::default() };
    let rules = Rules::default().on_request(move |head, _| match head.uri.path() {
        "/warm" => teapot(),
        _ => forward(masked()),
    });
    let mut world = World::new(rules).await;
    websocket(&world, YES).await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    stream.write_all(handshake("").as_bytes()).await.unwrap();
    assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 101"));
    // What the client says in the meantime must not make a reset of the close.
    stream.write_all(&[b"cut", &[b'x'; 500_000][..]].concat()).await.unwrap();
    let mut close = Vec::new();
    soon(stream.read_to_end(&mut close)).await.unwrap();
    assert_eq!(close, CLOSE);
    drop(stream);
    assert_eq!(world.record(|_| true).await.reason, Some("secret-in-answer"));

    let mut sender = warm(&world).await;
    let mut request =
        Request::builder().method("CONNECT").uri("https://a.test/chat?x=1").body(empty()).unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let mut answer = soon(sender.send_request(request)).await.unwrap();
    let mut stream = TokioIo::new(soon(hyper::upgrade::on(&mut answer)).await.unwrap());
    stream.write_all(b"cut").await.unwrap();
    let mut close = Vec::new();
    soon(stream.read_to_end(&mut close)).await.unwrap();
    assert_eq!(close, CLOSE);
}

#[tokio::test]
async fn what_a_websocket_says_passes_through_its_map() {
    let rules = Rules::default()
        .plan(|| ForwardPlan { answer: Some(Box::new(Masked)), ..ForwardPlan::default() });
    let mut world = World::new(rules).await;
    websocket(&world, YES).await;
    for (say, hear, reason) in [
        ("my secret", "MY ******bye", None),
        ("cut", "\u{fffd}\u{2}\u{3}\u{fffd}", Some("secret-in-answer")),
    ] {
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        stream.write_all(handshake("").as_bytes()).await.unwrap();
        assert!(soon(head(&mut stream)).await.contains("x-seen: yes"));
        stream.write_all(say.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(soon(rest(&mut stream)).await, hear);
        assert_eq!(world.record(|_| true).await.reason, reason);
    }
}
