//! What a handler can do to a request and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, response};
use http_body::Frame;
use http_body_util::BodyExt;
use moat_proxy::plane::seam::{
    Action, AnswerBody, AnswerHandler, BodyMap, Channel, Cut, ForwardPlan, Note, Overlong,
    RequestBody, Verdict,
};
use moat_proxy::{BLOCKED, Reason, Refusal};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use crate::support::client::{Http, basic, empty, full, rest};
use crate::support::origin::{Origin, text};
use crate::support::{Rules, World, forward, soon};

/// A host that says what it got: length field, and body.
async fn mirror(world: &World, version: Http) -> Origin {
    Origin::tls(&world.origins, &world.net, "a.test", &[version.alpn()], |request| async {
        let (head, body) = request.into_parts();
        let length = head.headers.get("content-length").cloned();
        let tag = head.headers.get("x-tag").cloned();
        let body = body.collect().await.unwrap().to_bytes();
        let mut reply = text(body);
        if let Some(length) = length {
            reply.headers_mut().insert("x-length", length);
        }
        if let Some(tag) = tag {
            reply.headers_mut().insert("x-tag", tag);
        }
        reply
    })
    .await
}

#[tokio::test]
async fn a_request_can_be_answered_here() {
    for version in Http::BOTH {
        let rules = Rules::default().on_request(|head, _| Verdict {
            action: match head.uri.path() {
                "/answer" => {
                    Action::Answer(Refusal::new(Reason::Custom("policy")).about("no").response())
                }
                _ => Action::Serve {
                    limit: 4,
                    respond: Box::new(|request| {
                        Box::pin(async move {
                            tokio::task::yield_now().await;
                            Response::new([&request.into_body()[..], b"!"].concat().into())
                        })
                    }),
                },
            },
            note: Note {
                url: Some("https://a.test/printable".to_owned()),
                reason: Some("policy"),
                grant: Some("github:work".into()),
                rule: Some("rule 1".into()),
                ..Note::default()
            },
        });
        let mut world = World::new(rules).await;
        let mut client = world.client("a.test", version).await;
        let answer = client.post("/answer", vec![0; 1000]).await;
        assert_eq!(
            (answer.status(), &answer.headers()[BLOCKED]),
            (StatusCode::FORBIDDEN, &HeaderValue::from_static("policy"))
        );
        let record = world.record(|_| true).await;
        assert_eq!(
            (record.url.as_str(), record.reason),
            ("https://a.test/printable", Some("policy"))
        );
        assert_eq!(record.grant.as_deref(), Some("github:work"));
        assert_eq!(record.rule.as_deref(), Some("rule 1"));
        assert_eq!(record.upstream_protocol, None);
        let mut client = world.client("a.test", version).await;
        assert_eq!(client.post("/serve", "1234").await.body(), "1234!");
        let answer = client.post("/serve", "12345").await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.headers()[BLOCKED], "body-too-long");
    }
}

#[tokio::test]
async fn a_request_to_the_proxy_itself_is_the_handlers() {
    let rules = Rules::default().on_request(|head, place| {
        assert_eq!((place.channel, place.authority), (Channel::Direct, None));
        match head.uri.path() {
            "/own" => Verdict {
                action: Action::Answer(Response::new("own".into())),
                note: Note::default(),
            },
            _ => crate::support::pass(),
        }
    });
    let world = World::new(rules).await;
    for (path, status) in [("/own", "200"), ("/other", "404")] {
        let mut socket = world.socket().await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: {}\r\n\r\n",
            basic()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(rest(&mut socket)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn a_request_body_can_be_collected_and_changed() {
    for origin in Http::BOTH {
        let rules = Rules::default().plan(|| ForwardPlan {
            body: RequestBody::Collect {
                limit: 8,
                finish: Box::new(|body, head| {
                    if body == "refuse" {
                        return Err(Refusal::new(Reason::Custom("in-body")).about("no"));
                    }
                    head.headers.insert("x-tag", HeaderValue::from_static("t"));
                    let body = [&body[..], b" and more"].concat();
                    Ok(bytes::Bytes::from(body).into())
                }),
            },
            ..ForwardPlan::default()
        });
        let world = World::new(rules).await;
        let origin = mirror(&world, origin).await;
        for client in Http::BOTH {
            let mut client = world.client("a.test", client).await;
            let answer = client.post("/", "body").await;
            assert_eq!(answer.body(), "body and more");
            assert_eq!(answer.headers()["x-length"], "13");
            assert_eq!(answer.headers()["x-tag"], "t");
            assert_eq!(client.post("/", "refuse").await.headers()[BLOCKED], "in-body");
            assert_eq!(client.post("/", "123456789").await.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        assert_eq!(origin.requests(), 2);
    }
}

/// Doubles every byte, holds the last of each piece back, and cuts at a `#`.
#[derive(Debug, Default)]
struct Doubling {
    held: Option<u8>,
    patience: Option<Duration>,
}

impl BodyMap for Doubling {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        if data.contains(&b'#') {
            return Err(Cut::new("found").with_last("last".into()));
        }
        let mut all: Vec<u8> = self.held.take().into_iter().chain(data).collect();
        self.held = all.pop();
        Ok(all.into_iter().flat_map(|byte| [byte, byte]).collect())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(self.held.take().into_iter().flat_map(|byte| [byte, byte, b'.']).collect())
    }

    fn patience(&self) -> Option<Duration> {
        self.held.and(self.patience)
    }

    fn flush(&mut self) -> Result<Bytes, Cut> {
        Ok(self.held.take().into_iter().flat_map(|byte| [byte, byte]).collect())
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        trailers.insert("x-mapped", HeaderValue::from_static("1"));
    }
}

#[tokio::test]
async fn a_request_body_can_stream_through_a_map() {
    let rules = Rules::default().on_request(|head, _| {
        head.headers.remove("content-length");
        forward(ForwardPlan {
            body: RequestBody::Map(Box::<Doubling>::default()),
            ..ForwardPlan::default()
        })
    });
    let world = World::new(rules).await;
    mirror(&world, Http::One).await;
    for client in Http::BOTH {
        let mut client = world.client("a.test", client).await;
        assert_eq!(client.post("/", "abc").await.body(), "aabbcc.");
        // What is cut never becomes a whole request.
        let request = client.request("POST", "/").body(full("a#")).unwrap();
        match soon(client.send(request)).await {
            Ok(answer) => assert_eq!(answer.status(), StatusCode::BAD_GATEWAY),
            Err(error) => assert!(!error.is_user(), "{error}"),
        }
    }
}

/// What to do with an answer, by the path of the request.
#[derive(Debug)]
struct Answers(&'static str, Arc<AtomicUsize>);

impl AnswerHandler for Answers {
    fn head(&mut self, head: &mut response::Parts) -> AnswerBody {
        self.1.fetch_add(1, Ordering::SeqCst);
        head.headers.insert("x-seen", HeaderValue::from_static("1"));
        match self.0 {
            "map" => {
                head.headers.remove("content-length");
                AnswerBody::Map(Box::new(Doubling {
                    patience: Some(Duration::from_millis(20)),
                    ..Doubling::default()
                }))
            }
            "collect" => AnswerBody::Collect {
                limit: 5,
                finish: Box::new(|body, head| {
                    head.headers.insert("x-collected", HeaderValue::from_static("1"));
                    match &body[..] {
                        b"bad" => Err(Refusal::new(Reason::Custom("transform")).about("cannot")),
                        _ => Ok([&body[..], b"+"].concat().into()),
                    }
                }),
                overlong: Overlong::Stream(None),
            },
            "replace" => AnswerBody::Replace(Response::new("replaced".into())),
            _ => AnswerBody::Stream,
        }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        trailers.insert("x-trailer-seen", HeaderValue::from_static("1"));
    }
}

async fn answering(kind: &'static str) -> (World, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let world = World::new(Rules::default().plan(move || ForwardPlan {
        answer: Some(Box::new(Answers(kind, Arc::clone(&count)))),
        ..ForwardPlan::default()
    }))
    .await;
    (world, seen)
}

#[tokio::test]
async fn an_answer_can_be_collected_replaced_or_seen() {
    for origin in Http::BOTH {
        let (world, seen) = answering("collect").await;
        mirror(&world, origin).await;
        for client in Http::BOTH {
            let mut client = world.client("a.test", client).await;
            let answer = client.post("/", "body").await;
            assert_eq!(
                (&answer.body()[..], answer.headers()["content-length"].to_str().unwrap()),
                (&b"body+"[..], "5")
            );
            assert_eq!(answer.headers()["x-collected"], "1");
            let long = client.post("/", vec![b'x'; 100_000]).await;
            assert_eq!(long.body().len(), 100_000);
            assert!(!long.headers().contains_key("x-collected"));
            assert_eq!(client.post("/", "bad").await.headers()[BLOCKED], "transform");
            let request = client.request("HEAD", "/").body(empty()).unwrap();
            let answer = soon(client.send(request)).await.unwrap();
            assert!(!answer.headers().contains_key("x-collected"));
        }
        assert_eq!(seen.load(Ordering::SeqCst), 8);
        let (world, _) = answering("replace").await;
        mirror(&world, origin).await;
        for client in Http::BOTH {
            let answer = world.client("a.test", client).await.post("/", "body").await;
            assert_eq!(
                (&answer.body()[..], answer.headers().contains_key("x-seen")),
                (&b"replaced"[..], false)
            );
        }
    }
}

#[tokio::test]
async fn an_answer_can_stream_through_a_map() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let (mut world, _) = answering("map").await;
            let alpn = [origin.alpn()];
            Origin::tls(&world.origins, &world.net, "a.test", &alpn, |request| async move {
                let (feed, receiver) = tokio::sync::mpsc::channel(1);
                let path = request.uri().path().to_owned();
                tokio::spawn(async move {
                    let data = |bytes: &'static str| Frame::data(Bytes::from(bytes));
                    feed.send(data("ab")).await.unwrap();
                    if path == "/cut" {
                        feed.send(data("#")).await.unwrap();
                    }
                    if path == "/wait" {
                        // Nothing more comes until the client has seen all of it.
                        std::future::pending::<()>().await;
                    }
                    let trailers = HeaderMap::from_iter([(
                        "x-t".parse().unwrap(),
                        HeaderValue::from_static("1"),
                    )]);
                    _ = feed.send(Frame::trailers(trailers)).await;
                });
                let body =
                    Channelled(receiver).map_err(|never: std::convert::Infallible| match never {});
                Response::builder().header("trailer", "x-t").body(body.boxed_unsync()).unwrap()
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let request =
                sender.request("GET", "/").header("te", "trailers").body(empty()).unwrap();
            let answer = soon(sender.send(request)).await.unwrap();
            let all = soon(answer.into_body().collect()).await.unwrap();
            assert!(all.trailers().is_some_and(|trailers| trailers.contains_key("x-t")));
            if client == Http::Two {
                // HTTP/1.1 sends only those that were announced.
                assert_eq!(all.trailers().unwrap()["x-trailer-seen"], "1");
            }
            assert_eq!(all.to_bytes(), "aabb.");
            let request = sender.request("GET", "/cut").body(empty()).unwrap();
            // The cut may come before the head has left.
            if let Ok(answer) = soon(sender.send(request)).await {
                let mut body = answer.into_body();
                let mut got = Vec::new();
                loop {
                    match soon(body.frame()).await {
                        Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
                        Some(Err(_)) => break,
                        None => panic!("a body that was cut has no end"),
                    }
                }
                // HTTP/2 drops what is on its way when a stream is reset.
                assert!(got == b"aalast" || b"aabblast".starts_with(&got), "{got:?}");
            }
            world.record(|record| record.reason == Some("found")).await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("GET", "/wait").body(empty()).unwrap();
            let mut answer = soon(sender.send(request)).await.unwrap();
            let mut got = Vec::new();
            while got.len() < 4 {
                let frame = soon(answer.frame()).await.unwrap().unwrap();
                got.extend_from_slice(&frame.into_data().unwrap());
            }
            assert_eq!(got, b"aabb");
        }
    }
}

struct Channelled(tokio::sync::mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Channelled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

#[tokio::test]
async fn a_revoked_credential_cuts_what_it_opened() {
    for version in Http::BOTH {
        let (cut, other) = (CancellationToken::new(), CancellationToken::new());
        let (first, second) = (cut.clone(), other.clone());
        let rules = Rules::default().on_request(move |head, _| {
            let cut = if head.uri.path().starts_with("/revoked") { &first } else { &second };
            forward(ForwardPlan { cuts: vec![cut.clone()], ..ForwardPlan::default() })
        });
        let mut world = World::new(rules).await;
        let (feed, receiver) = tokio::sync::watch::channel(());
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], move |request| {
            let mut receiver = receiver.clone();
            async move {
                if request.uri().path() == "/revoked/never" {
                    std::future::pending::<()>().await;
                }
                let (send, body) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    _ = receiver.changed().await;
                    _ = send.send(Frame::data(Bytes::from_static(b"done"))).await;
                });
                let body = Channelled(body).map_err(|never| match never {}).boxed_unsync();
                Response::new(body)
            }
        })
        .await;
        let mut bodies = Vec::new();
        for path in ["/revoked/stream", "/kept/stream"] {
            let mut client = world.client("a.test", version).await;
            let request = client.request("GET", path).body(empty()).unwrap();
            bodies.push((soon(client.send(request)).await.unwrap().into_body(), client));
        }
        let mut client = world.client("a.test", version).await;
        let request = client.request("GET", "/revoked/never").body(empty()).unwrap();
        let pending = tokio::spawn(async move { client.send(request).await });
        tokio::task::yield_now().await;
        cut.cancel();
        let (kept, _kept) = bodies.pop().unwrap();
        let (revoked, _revoked) = bodies.pop().unwrap();
        assert!(soon(revoked.collect()).await.is_err());
        assert!(soon(pending).await.unwrap().is_err());
        feed.send(()).unwrap();
        assert_eq!(soon(kept.collect()).await.unwrap().to_bytes(), "done");
        world.record(|record| record.reason == Some("credential-revoked")).await;
    }
}

#[tokio::test]
async fn connections_are_shared_within_one_identity_only() {
    for version in Http::BOTH {
        let rules = Rules::default().on_request(|head, _| {
            let identity = head.uri.path().trim_start_matches('/').parse().unwrap();
            forward(ForwardPlan { identity, ..ForwardPlan::default() })
        });
        let world = World::new(rules).await;
        let origin = mirror(&world, version).await;
        let mut client = world.client("a.test", Http::Two).await;
        for path in ["/1", "/2", "/1", "/2", "/3"] {
            assert_eq!(client.get(path).await.status(), StatusCode::OK);
        }
        assert_eq!(origin.connections(), 3, "{version:?}");
    }
}

#[tokio::test]
async fn many_streams_at_once_need_few_connections() {
    let world = World::new(Rules::default()).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let origin = Origin::tls(&world.origins, &world.net, "a.test", &["h2"], move |_| {
        let wait = Arc::clone(&wait);
        async move {
            wait.acquire().await.unwrap().forget();
            text("x")
        }
    })
    .await;
    let client = world.http2("a.test").await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let mut client = client.clone();
        all.spawn(async move {
            client.ready().await.unwrap();
            let request = http::Request::builder().uri("https://a.test/").body(empty()).unwrap();
            client.send_request(request).await.unwrap().status()
        });
    }
    soon(async {
        while origin.requests() < 150 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.add_permits(150);
    while let Some(status) = soon(all.join_next()).await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(origin.connections(), 2);
}
