//! Streams: at once, both ways, bounded, cancelled.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use moat_proxy::FAILED;
use moat_proxy::plane::Limits;
use moat_proxy::plane::seam::{AnswerBody, AnswerHandler, BodyMap, Cut, ForwardPlan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

use crate::support::client::{Http, Payload, empty, head, rest, whole};
use crate::support::origin::{Origin, Reply, script, stream, text};
use crate::support::{Rules, World, resident, soon};

type Frames = mpsc::Sender<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>;

/// A body that is fed through a channel.
fn fed() -> (Frames, Payload) {
    let (sender, mut receiver) = mpsc::channel(1);
    let frames = stream(move |cx| receiver.poll_recv(cx));
    (sender, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

async fn data(body: &mut Incoming) -> Bytes {
    soon(body.frame()).await.unwrap().unwrap().into_data().unwrap()
}

fn send(bytes: &'static str) -> Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

#[tokio::test]
async fn an_event_passes_before_the_next_is_written() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let world = World::new(Rules::default()).await;
            let (feed, body) = fed();
            let body = Arc::new(std::sync::Mutex::new(Some(body)));
            let alpn = [origin.alpn()];
            Origin::tls(&world.origins, &world.net, "a.test", &alpn, move |_| {
                let body = body.lock().unwrap().take().unwrap();
                async {
                    Response::builder()
                        .header("content-type", "text/event-stream")
                        .body(body)
                        .unwrap()
                }
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("GET", "/").body(empty()).unwrap();
            let mut answer = soon(sender.send(request)).await.unwrap().into_body();
            for event in ["data: 1\n\n", "data: 2\n\n"] {
                feed.send(send(event)).await.unwrap();
                assert_eq!(data(&mut answer).await, event);
            }
        }
    }
}

/// Answers each message of a request when it comes, and ends with trailers, as gRPC does.
async fn echo(request: http::Request<Incoming>) -> Reply {
    let (feed, body) = fed();
    let mut incoming = request.into_body();
    tokio::spawn(async move {
        let mut status = HeaderMap::new();
        while let Some(Ok(frame)) = incoming.frame().await {
            match frame.into_data() {
                Ok(data) => feed.send(Ok(Frame::data(data))).await.unwrap(),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    status.insert("grpc-message", trailers["checksum"].clone());
                    assert!(!trailers.contains_key("authorization"));
                }
            }
        }
        status.insert("grpc-status", HeaderValue::from_static("0"));
        status.insert("set-cookie", HeaderValue::from_static("a=b"));
        feed.send(Ok(Frame::trailers(status))).await.unwrap();
    });
    Response::builder()
        .header("trailer", "grpc-status, grpc-message, set-cookie")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn messages_go_both_ways_at_once_and_trailers_follow() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let world = World::new(Rules::default()).await;
            let alpn = [origin.alpn()];
            Origin::tls(&world.origins, &world.net, "a.test", &alpn, echo).await;
            let mut sender = world.client("a.test", client).await;
            let (feed, body) = fed();
            let request = sender
                .request("POST", "/svc/Method")
                .header("te", "trailers")
                .header("trailer", "checksum, authorization");
            let answer = soon(sender.send(request.body(body).unwrap())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let mut answer = answer.into_body();
            for message in ["one", "two", "three"] {
                feed.send(send(message)).await.unwrap();
                assert_eq!(data(&mut answer).await, message, "{client:?} to {origin:?}");
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("checksum", HeaderValue::from_static("abc"));
            trailers.insert("authorization", HeaderValue::from_static("Bearer x"));
            feed.send(Ok(Frame::trailers(trailers))).await.unwrap();
            drop(feed);
            let trailers = soon(answer.frame()).await.unwrap().unwrap().into_trailers().unwrap();
            assert_eq!(trailers["grpc-status"], "0");
            assert_eq!(trailers["grpc-message"], "abc");
            assert!(!trailers.contains_key("set-cookie"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_without_length_needs_little_memory() {
    const CHUNK: usize = 64 * 1024;
    const COUNT: usize = 256 * 1024 * 1024 / CHUNK;
    for client in Http::BOTH {
        let world = World::new(Rules::default()).await;
        let alpn = [client.alpn()];
        Origin::tls(&world.origins, &world.net, "a.test", &alpn, |request| async {
            let (mut total, mut body) = (0, request.into_body());
            while let Some(frame) = body.frame().await {
                total += frame.unwrap().into_data().unwrap().len();
            }
            text(total.to_string())
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        let (feed, body) = fed();
        let before = resident();
        let feeding = tokio::spawn(async move {
            let chunk = Bytes::from(vec![1; CHUNK]);
            let mut most = 0;
            for n in 0..COUNT {
                feed.send(Ok(Frame::data(chunk.clone()))).await.unwrap();
                if n % 64 == 0 {
                    most = most.max(resident());
                }
            }
            most
        });
        let request = sender.request("POST", "/").body(body).unwrap();
        let answer = sender.send(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), (COUNT * CHUNK).to_string());
        let grown = feeding.await.unwrap().saturating_sub(before);
        assert!(grown < 96 * 1024 * 1024, "{grown} bytes");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_at_the_host() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let mut world = World::new(Rules::default()).await;
            let gone = Arc::new(Notify::new());
            let (notify, alpn) = (Arc::clone(&gone), [origin.alpn()]);
            Origin::tls(&world.origins, &world.net, "a.test", &alpn, move |_| {
                let (feed, body) = fed();
                let notify = Arc::clone(&notify);
                tokio::spawn(async move {
                    feed.send(send("first")).await.unwrap();
                    feed.closed().await;
                    notify.notify_one();
                });
                async { Response::new(body) }
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("GET", "/").body(empty()).unwrap();
            let mut answer = sender.send(request).await.unwrap().into_body();
            assert_eq!(data(&mut answer).await, "first");
            drop((answer, sender));
            soon(gone.notified()).await;
            let record = world.record(|_| true).await;
            assert_eq!(record.reason, Some("client-aborted"));
            assert_eq!(record.status, Some(200));
        }
    }
}

#[tokio::test]
async fn a_client_that_gives_up_waiting_cancels_at_the_host() {
    for client in Http::BOTH {
        let mut world = World::new(Rules::default()).await;
        let (begun, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        struct Tell(Arc<Notify>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let (begin, end) = (Arc::clone(&begun), Arc::clone(&gone));
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], move |_| {
            begin.notify_one();
            let tell = Tell(Arc::clone(&end));
            async move {
                let _tell = tell;
                std::future::pending::<Reply>().await
            }
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        let request = sender.request("GET", "/").body(empty()).unwrap();
        let waiting = tokio::spawn(async move { sender.send(request).await });
        soon(begun.notified()).await;
        waiting.abort();
        soon(gone.notified()).await;
        let record = world.record(|_| true).await;
        assert_eq!((record.reason, record.status), (Some("client-aborted"), None));
    }
}

#[tokio::test]
async fn a_host_that_breaks_off_breaks_the_clients_stream() {
    for client in Http::BOTH {
        let mut world = World::new(Rules::default()).await;
        script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        let request = sender.request("GET", "/").body(empty()).unwrap();
        let answer = sender.send(request).await.unwrap();
        assert!(soon(answer.into_body().collect()).await.is_err(), "{client:?}");
        let record = world.record(|_| true).await;
        assert_eq!((record.reason, record.down), (Some("upstream-reset"), 4));
    }
}

#[tokio::test]
async fn a_host_that_hangs_up_or_babbles_is_a_502() {
    let cases = [
        ("", "upstream-reset"),
        ("HTTP/1.1 200 OK\r\nBad Header\r\n\r\n", "upstream-protocol"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "upstream-protocol",
        ),
        ("SSH-2.0-x\r\n\r\n", "upstream-protocol"),
    ];
    for (reply, reason) in cases {
        let world = World::new(Rules::default()).await;
        script(&world.origins, &world.net, "a.test", &[], move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await;
        let answer = soon(world.client("a.test", Http::One).await.get("/")).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(answer.headers()[FAILED], reason, "{reply:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_the_host_closed_is_no_failure() {
    let world = World::new(Rules::default()).await;
    script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        // Reads the next head, if it comes in time, and hangs up.
        let mut buffer = [0; 1];
        _ = stream.read(&mut buffer).await;
    })
    .await;
    let mut sender = world.client("a.test", Http::One).await;
    for _ in 0..4 {
        let answer = soon(sender.get("/")).await;
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"ok"[..]));
    }
}

#[tokio::test]
async fn the_body_waits_for_the_hosts_100_continue() {
    let limits = Limits::default();
    let mut limits = limits;
    limits.expect_continue = Duration::from_secs(3600);
    let world = World::with(Rules::default(), limits, |builder| builder).await;
    script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
        let request = head(&mut stream).await.to_ascii_lowercase();
        assert!(request.contains("expect: 100-continue"), "{request}");
        if request.starts_with("post /no") {
            let refusal = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(refusal).await.unwrap();
            assert_eq!(rest(&mut stream).await, "");
            return;
        }
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    for (path, first) in [("/yes", "HTTP/1.1 100"), ("/no", "HTTP/1.1 417")] {
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(head(&mut stream)).await;
        assert!(answer.starts_with(first), "{answer}");
        if path == "/yes" {
            stream.write_all(b"body").await.unwrap();
            assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 200"));
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_their_length_and_the_connection() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let world = World::new(Rules::default()).await;
            let alpn = [origin.alpn()];
            let origin =
                Origin::tls(&world.origins, &world.net, "a.test", &alpn, |request| async move {
                    let reply = Response::builder().header("etag", "e");
                    let empty = text("").into_body();
                    match request.uri().path() {
                        "/204" => reply.status(204).body(empty).unwrap(),
                        "/304" => reply.status(304).body(empty).unwrap(),
                        _ => reply.header("content-length", "12345").body(empty).unwrap(),
                    }
                })
                .await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("HEAD", "/").body(empty()).unwrap();
            let answer = soon(sender.send(request)).await.unwrap();
            assert_eq!(answer.headers()["content-length"], "12345");
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "");
            for (path, status) in [("/204", 204), ("/304", 304)] {
                let answer = soon(sender.get(path)).await;
                assert_eq!(answer.status(), status);
                assert_eq!(answer.headers()["etag"], "e");
            }
            assert_eq!(origin.connections(), 1);
        }
    }
}

#[tokio::test]
async fn a_slow_host_is_a_504_and_a_slow_upload_is_not() {
    let mut limits = Limits::default();
    limits.first_byte = Duration::from_secs(1);
    let world = World::with(Rules::default(), limits, |builder| builder).await;
    Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |request| async {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        text(request.into_body().collect().await.unwrap().to_bytes())
    })
    .await;
    let mut sender = world.client("a.test", Http::Two).await;
    let answer = soon(sender.get("/never")).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.headers()[FAILED], "upstream-timeout");
    let (feed, body) = fed();
    tokio::spawn(async move {
        for _ in 0..4 {
            // The pace of a slow client: each piece within the limit, the whole beyond it.
            tokio::time::sleep(Duration::from_millis(400)).await;
            feed.send(send("x")).await.unwrap();
        }
    });
    let request = sender.request("POST", "/").body(body).unwrap();
    let answer = soon(sender.send(request)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "xxxx");
}

/// Passes everything, and holds the last byte back until the end.
#[derive(Debug, Default)]
struct HoldLast(Bytes);

impl BodyMap for HoldLast {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        let mut all = BytesMut::from(&self.0[..]);
        all.extend_from_slice(&data);
        self.0 = all.split_off(all.len().saturating_sub(1)).freeze();
        Ok(all.freeze())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(std::mem::take(&mut self.0))
    }
}

#[derive(Debug)]
struct MapAll;

impl AnswerHandler for MapAll {
    fn head(&mut self, _: &mut http::response::Parts) -> AnswerBody {
        AnswerBody::Map(Box::<HoldLast>::default())
    }
}

#[tokio::test]
async fn an_answer_of_known_length_that_is_mapped_gives_its_connection_back() {
    for version in Http::BOTH {
        let plan = || ForwardPlan { answer: Some(Box::new(MapAll)), ..ForwardPlan::default() };
        let mut world = World::new(Rules::default().plan(plan)).await;
        let origin = Origin::tls(&world.origins, &world.net, "a.test", &["http/1.1"], |_| async {
            text("held to the end")
        })
        .await;
        let mut client = world.client("a.test", version).await;
        for _ in 0..3 {
            let request = client.request("GET", "/").body(empty()).unwrap();
            let answer = whole(soon(client.send(request)).await.unwrap()).await;
            assert_eq!(answer.body(), "held to the end");
            let record = world.record(|record| record.method == "GET").await;
            assert_eq!((record.reason, record.down), (None, 15));
        }
        assert_eq!(origin.connections(), 1);
    }
}
