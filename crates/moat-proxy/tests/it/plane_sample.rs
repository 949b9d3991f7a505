//! Samples of bodies in records.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use moat_provider_core::Secret;
use moat_provider_testkit::Canary;
use moat_proxy::plane::RunRegistration;
use moat_proxy::plane::seam::{AnswerBody, AnswerHandler, BodyMap, Cut, ForwardPlan, RequestBody};
use tokio::io::AsyncWriteExt;

use crate::support::client::rest;
use crate::support::origin::{Origin, text};
use crate::support::{Rules, World, soon};

/// Replaces one text by another.
#[derive(Debug)]
struct Swap(String, String);

impl BodyMap for Swap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        Ok(String::from_utf8_lossy(&data).replace(&self.0, &self.1).into())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }
}

#[derive(Debug)]
struct Scrub(String);

impl AnswerHandler for Scrub {
    fn head(&mut self, head: &mut http::response::Parts) -> AnswerBody {
        head.headers.remove("content-length");
        AnswerBody::Map(Box::new(Swap(self.0.clone(), "masked".to_owned())))
    }
}

#[tokio::test]
async fn samples_are_what_the_client_said_and_saw() {
    let mut world = World::new(Rules::default()).await;
    let secret = Canary::new();
    let value = secret.text().to_owned();
    let rules = Rules::default().on_request(move |head, _| {
        head.headers.remove("content-length");
        crate::support::forward(ForwardPlan {
            body: RequestBody::Map(Box::new(Swap("HERE".to_owned(), value.clone()))),
            answer: Some(Box::new(Scrub(value.clone()))),
            ..ForwardPlan::default()
        })
    });
    let registration = RunRegistration::new("sampled".parse().unwrap(), Arc::new(rules));
    let token = Canary::new();
    let registration = registration.token(&Secret::new(token.text().to_owned())).sample_bodies(12);
    let _run = world.proxy.register(registration).unwrap();
    Origin::plain(&world.net, "a.test", |request| async {
        let media = request.headers()["content-type"].clone();
        let mut reply = text(request.into_body().collect().await.unwrap().to_bytes());
        reply.headers_mut().insert("content-type", media);
        reply
    })
    .await;
    for (media, is_text) in [("application/json; charset=utf-8", true), ("image/png", false)] {
        let mut socket = world.socket().await;
        let request = format!(
            "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Bearer {}\r\n\
             Connection: close\r\nContent-Type: {media}\r\nContent-Length: 18\r\n\r\n\x1b[2J HERE and more",
            token.text()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        assert!(soon(rest(&mut socket)).await.contains("masked"));
        let record = world.record(|_| true).await;
        let samples = [&record.request_sample, &record.answer_sample];
        let samples = samples.map(|it| it.as_ref().map(|it| (it.bytes().to_vec(), it.is_cut())));
        if is_text {
            let expected = [&b"\x1b[2J HERE an"[..], b"\x1b[2J masked "];
            assert_eq!(samples, expected.map(|it| Some((it[..12].to_vec(), true))));
            let line = record.to_json();
            assert!(line.contains(r#""text":"\u001b[2J HERE an""#), "{line}");
            assert!(secret.find_in_str(&line).is_none());
        } else {
            assert_eq!(samples, [None, None]);
        }
    }
}
