//! What is open under a credential closes when the credential is revoked.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use moat_proxy::plane::seam::{
    AnswerBody, AnswerHandler, BodyMap, ConnectVerdict, Cut, ForwardPlan, Overlong, RequestBody,
    TunnelPlan,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::support::client::{Http, Inner, Payload, empty, head, rest};
use crate::support::origin::{Origin, raw, script, stream};
use crate::support::{Rules, World, forward, soon};

type Piece = Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>;

/// A body that stays open for as long as the sender is there.
fn open() -> (mpsc::Sender<Piece>, Payload) {
    let (sender, mut receiver) = mpsc::channel(1);
    let stream = stream(move |cx| receiver.poll_recv(cx));
    (sender, BodyExt::boxed_unsync(StreamBody::new(stream)))
}

/// What a request does when the credential goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// It uploads, and the host has not answered.
    Upload,
    /// It uploads, and the host is answering.
    Both,
    /// Its body is collected.
    CollectRequest,
    /// The answer's body is collected.
    CollectAnswer,
    /// The answer's body is held by a map.
    Hold,
}

#[derive(Debug)]
struct Holding;

impl BodyMap for Holding {
    fn push(&mut self, _: Bytes) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok("held".into())
    }
}

#[derive(Debug)]
struct Answers(Case);

impl AnswerHandler for Answers {
    fn head(&mut self, _: &mut http::response::Parts) -> AnswerBody {
        match self.0 {
            Case::CollectAnswer => AnswerBody::Collect {
                limit: 1000,
                finish: Box::new(|body, _| Ok(body)),
                overlong: Overlong::Stream(None),
            },
            Case::Hold => AnswerBody::Map(Box::new(Holding)),
            _ => AnswerBody::Stream,
        }
    }
}

fn plan(case: Case, cut: &CancellationToken) -> ForwardPlan {
    let mut plan = ForwardPlan::default();
    if case == Case::CollectRequest {
        let finish = Box::new(|body: Bytes, _: &mut http::request::Parts| Ok(body.into()));
        plan.body = RequestBody::Collect { limit: 1000, finish };
    }
    plan.answer = Some(Box::new(Answers(case)));
    plan.cuts = vec![cut.clone()];
    plan
}

/// Reads until the end and tells that there was one, and whether it was a proper one.
async fn drained(mut body: hyper::body::Incoming) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

async fn check(case: Case, client: Http, origin: Http) {
    let cut = CancellationToken::new();
    let token = cut.clone();
    let rules = Rules::default().on_request(move |_, _| forward(plan(case, &token)));
    let mut world = World::new(rules).await;
    let (tell, mut ended) = mpsc::unbounded_channel();
    let seen = Arc::new(Notify::new());
    let see = Arc::clone(&seen);
    Origin::tls(&world.origins, &world.net, "a.test", &[origin.alpn()], move |request| {
        let (tell, see) = (tell.clone(), Arc::clone(&see));
        let upload = async move {
            let mut body = request.into_body();
            assert!(soon(body.frame()).await.unwrap().is_ok());
            see.notify_one();
            tell.send(drained(body).await).unwrap();
        };
        async move {
            let upload = tokio::spawn(upload);
            if case == Case::Upload {
                upload.await.unwrap();
            }
            let (feed, body) = open();
            tokio::spawn(async move {
                feed.send(Ok(Frame::data("first".into()))).await.unwrap();
                feed.closed().await;
            });
            Response::new(body)
        }
    })
    .await;
    let (feed, body) = open();
    let mut sender = world.client("a.test", client).await;
    let request = sender.request("POST", "/").body(body).unwrap();
    let answer = tokio::spawn(async move {
        let answer = sender.send(request).await;
        let done = match answer {
            Ok(answer) => drained(answer.into_body()).await,
            Err(_) => false,
        };
        (done, sender)
    });
    feed.send(Ok(Frame::data("piece".into()))).await.unwrap();
    if case != Case::CollectRequest {
        soon(seen.notified()).await;
    }
    cut.cancel();
    let (done, _sender) = soon(answer).await.unwrap();
    assert!(!done, "{case:?} {client:?} {origin:?}");
    if case != Case::CollectRequest {
        let whole = soon(ended.recv()).await.unwrap();
        assert!(!whole, "{case:?} {client:?} {origin:?}");
    }
    assert_eq!(world.record(|_| true).await.reason, Some("credential-revoked"), "{case:?}");
    drop(feed);
}

#[tokio::test]
async fn uploads_answers_and_what_is_held_end_in_all_pairs() {
    let cases = [Case::Upload, Case::Both, Case::CollectRequest, Case::CollectAnswer, Case::Hold];
    for case in cases {
        for client in Http::BOTH {
            for origin in Http::BOTH {
                check(case, client, origin).await;
            }
        }
    }
}

#[tokio::test]
async fn websockets_end_in_both_versions() {
    for version in Http::BOTH {
        let cut = CancellationToken::new();
        let token = cut.clone();
        let rules = Rules::default().on_request(move |_, _| forward(plan(Case::Both, &token)));
        let mut world = World::new(rules).await;
        let gone = Arc::new(Notify::new());
        let tell = Arc::clone(&gone);
        script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
            let tell = Arc::clone(&tell);
            async move {
                let request = head(&mut stream).await;
                let accept = crate::plane_upgrade::accept(&request);
                let answer = format!(
                    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\nhello"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                rest(&mut stream).await;
                tell.notify_one();
            }
        })
        .await;
        let mut hello = [0; 5];
        if version == Http::One {
            let mut stream = world.tls("a.test", &["http/1.1"]).await;
            stream.write_all(crate::plane_upgrade::handshake("").as_bytes()).await.unwrap();
            assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 101"));
            soon(stream.read_exact(&mut hello)).await.unwrap();
            cut.cancel();
            assert_eq!(soon(rest(&mut stream)).await, "");
        } else {
            let client = world.client("a.test", Http::Two).await;
            let Inner::Two(mut sender) = client.inner else { unreachable!() };
            // The settings that allow the handshake come with the first answer.
            soon(crate::plane_upgrade::settled(&mut sender)).await;
            let mut request = Request::builder()
                .method("CONNECT")
                .uri("https://a.test/chat?x=1")
                .body(empty())
                .unwrap();
            request.extensions_mut().insert(Protocol::from_static("websocket"));
            let mut answer = soon(sender.send_request(request)).await.unwrap();
            let mut stream = TokioIo::new(soon(hyper::upgrade::on(&mut answer)).await.unwrap());
            soon(stream.read_exact(&mut hello)).await.unwrap();
            cut.cancel();
            assert_eq!(soon(rest(&mut stream)).await, "");
        }
        soon(gone.notified()).await;
        let fits = |record: &moat_proxy::plane::RequestRecord| record.status != Some(405);
        assert_eq!(world.record(fits).await.reason, Some("credential-revoked"));
    }
}

#[tokio::test]
async fn raw_tunnels_end() {
    let (cut, other) = (CancellationToken::new(), CancellationToken::new());
    let (first, second) = (cut.clone(), other.clone());
    let rules = Rules::default().on_connect(move |authority| {
        let cut = if authority.host().as_text() == "a.test" { &first } else { &second };
        ConnectVerdict::Tunnel(TunnelPlan { cut: Some(cut.clone()) })
    });
    let mut world = World::new(rules).await;
    for host in ["a.test", "b.test"] {
        raw(&world.net, host, 22, |mut tcp| async move {
            tcp.write_all(b"hi").await.unwrap();
            rest(&mut tcp).await;
        })
        .await;
    }
    let (mut tunnel, _) = world.tunnel("a.test:22").await;
    let (mut kept, _) = world.tunnel("b.test:22").await;
    let mut hi = [0; 2];
    soon(tunnel.read_exact(&mut hi)).await.unwrap();
    cut.cancel();
    assert_eq!(soon(rest(&mut tunnel)).await, "");
    let record = world.record(|_| true).await;
    assert_eq!((record.url.as_str(), record.reason), ("a.test:22", Some("credential-revoked")));
    soon(kept.read_exact(&mut hi)).await.unwrap();
}
