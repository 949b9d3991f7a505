//! Tries to stop a stream by looking into it, and to have half a request taken for a whole one.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, StreamBody};
use moat_proxy::Mode;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};

use crate::grants::*;
use crate::raw_http2::Raw;
use crate::support::client::Http;
use crate::support::origin::Origin;
use crate::support::soon;

type Fed = mpsc::UnboundedSender<
    Result<http_body::Frame<bytes::Bytes>, Box<dyn std::error::Error + Send + Sync>>,
>;

fn fed() -> (Fed, crate::support::client::Payload) {
    let (send, receive) = mpsc::unbounded_channel();
    (send, BodyExt::boxed_unsync(StreamBody::new(crate::hole_position::Queue(receive))))
}

#[tokio::test]
async fn both_sides_talk_in_turns_on_a_host_that_is_scrubbed() {
    let (grants, _) = bearer();
    for version in Http::BOTH {
        for kind in [
            "application/json",
            "application/connect+json",
            "application/grpc",
            "text/event-stream",
        ] {
            let world = world(&grants, policy(Mode::Strict)).await;
            Origin::tls(&world.origins, &world.net, VENDOR, &[version.alpn()], move |request| {
                let (feed, body) = fed();
                tokio::spawn(async move {
                    let mut incoming = request.into_body();
                    while let Some(Ok(frame)) = incoming.frame().await {
                        _ = feed.send(Ok(frame));
                    }
                });
                async move {
                    http::Response::builder().header("content-type", kind).body(body).unwrap()
                }
            })
            .await;
            let mut client = world.client(VENDOR, version).await;
            let (feed, body) = fed();
            let request = client.request("POST", "/").header("content-type", kind);
            let answer = soon(client.send(request.body(body).unwrap())).await.unwrap();
            let mut answer = answer.into_body();
            for number in 0..4 {
                // The next is written only when the answer to the last is there.
                let message = format!("{{\"number\":{number}}}\n");
                feed.send(Ok(http_body::Frame::data(message.clone().into()))).unwrap();
                let mut got = Vec::new();
                while got.len() < message.len() {
                    let frame = soon(answer.frame()).await.unwrap().unwrap();
                    got.extend_from_slice(&frame.into_data().unwrap());
                }
                assert_eq!(got, message.as_bytes(), "{kind} {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn half_an_upload_is_never_a_whole_one() {
    let (grants, _) = bearer();
    for origin in Http::BOTH {
        for form in ["length", "chunks", "h2", "h2 length"] {
            let world = world(&grants, policy(Mode::Strict)).await;
            let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
            let (notes, done) = (Arc::clone(&seen), Arc::clone(&over));
            let begun = Arc::new(Notify::new());
            let begin = Arc::clone(&begun);
            Origin::tls(&world.origins, &world.net, VENDOR, &[origin.alpn()], move |request| {
                let (notes, done) = (Arc::clone(&notes), Arc::clone(&done));
                begin.notify_one();
                async move {
                    let whole = request.into_body().collect().await.is_ok();
                    notes.lock().unwrap().push(whole);
                    done.notify_one();
                    crate::support::origin::text("")
                }
            })
            .await;
            if form.starts_with("h2") {
                let mut raw = Raw::open(&world, VENDOR).await;
                let mut fields: Vec<(&str, &str)> = vec![
                    (":method", "POST"),
                    (":scheme", "https"),
                    (":authority", VENDOR),
                    (":path", "/"),
                ];
                if form == "h2 length" {
                    fields.push(("content-length", "10"));
                }
                raw.head(1, &fields, false).await;
                raw.data(1, b"abc", false).await;
                soon(begun.notified()).await;
                raw.reset(1).await;
                soon(over.notified()).await;
            } else {
                let mut stream = world.tls(VENDOR, &["http/1.1"]).await;
                let (framing, body) = match form {
                    "length" => ("Content-Length: 10", "abc"),
                    _ => ("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
                };
                let request =
                    format!("POST / HTTP/1.1\r\nHost: {VENDOR}\r\n{framing}\r\n\r\n{body}");
                stream.write_all(request.as_bytes()).await.unwrap();
                soon(begun.notified()).await;
                drop(stream);
                soon(over.notified()).await;
            }
            assert_eq!(*seen.lock().unwrap(), [false], "{form} to {origin:?}");
        }
    }
}
