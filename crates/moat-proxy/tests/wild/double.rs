//! A vendor on loopback: it accepts the token alone, and answers 401 to anything else.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use moat_provider_testkit::Canary;
use ring::digest::{Context, SHA256};
use tokio::sync::{Notify, mpsc};

use crate::container::Container;
use crate::support::origin::{Origin, Reply, text};

/// How long `/blob` is.
pub(crate) const BLOB: usize = 1024 * 1024 + 17;

/// Serves a host with the vendor, in these versions of HTTP.
pub(crate) async fn vendor(container: &Container, host: &str, alpn: &[&str]) -> Origin {
    let vendor = Arc::new(Vendor {
        accepted: accepted(&container.token),
        blob: blob(),
        next: Mutex::default(),
    });
    let (origins, net) = (&container.world.origins, &container.world.net);
    Origin::tls(origins, net, host, alpn, move |request| {
        let vendor = Arc::clone(&vendor);
        async move { vendor.answer(request).await }
    })
    .await
}

/// Returns the bytes of `/blob`: no two kilobytes are alike.
pub(crate) fn blob() -> Bytes {
    (0..BLOB).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// Returns the SHA-256 hash in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    hex(context)
}

fn hex(context: Context) -> String {
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of `Authorization` that hold the token.
pub(crate) fn accepted(token: &Canary) -> Vec<String> {
    let basic = STANDARD.encode(format!("x-access-token:{}", token.text()));
    vec![format!("Bearer {}", token.text()), format!("Basic {basic}")]
}

struct Vendor {
    accepted: Vec<String>,
    blob: Bytes,
    /// Lets the events go on that were asked for last.
    next: Mutex<Arc<Notify>>,
}

impl Vendor {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let sent = request.headers().get(AUTHORIZATION).cloned();
        let sent = sent.map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        if !self.accepted.contains(&sent) {
            let mut refused = text("{\"message\": \"Bad credentials\"}");
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            return refused;
        }
        match request.uri().path() {
            "/blob" => self.blob(&request),
            "/events" => self.events(),
            "/next" => {
                self.next.lock().unwrap().notify_one();
                text("next")
            }
            "/upload" => uploaded(request).await,
            _ => {
                let mut answer =
                    text(format!("{{\"you\": \"sent\", \"authorization\": \"{sent}\"}}"));
                answer.headers_mut().insert("x-echo", sent.parse().unwrap());
                answer
            }
        }
    }

    /// Answers with the blob, or one range of it (RFC 9110, section 14).
    fn blob(&self, request: &Request<Incoming>) -> Reply {
        let range = request.headers().get(RANGE).and_then(|value| {
            let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
            let last = last.parse().unwrap_or(BLOB - 1);
            Some((first.parse::<usize>().ok()?, last.min(BLOB - 1)))
        });
        let mut answer = match range {
            None => text(self.blob.clone()),
            Some((first, last)) => {
                let mut part = text(self.blob.slice(first..=last));
                *part.status_mut() = StatusCode::PARTIAL_CONTENT;
                let field = format!("bytes {first}-{last}/{BLOB}");
                part.headers_mut().insert(CONTENT_RANGE, field.parse().unwrap());
                part
            }
        };
        if request.method() == Method::HEAD {
            *answer.body_mut() = text("").into_body();
            answer.headers_mut().insert(CONTENT_LENGTH, BLOB.into());
        }
        answer.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        answer
    }

    /// Answers with three events, each after the one before was asked to be followed.
    fn events(&self) -> Reply {
        let next = Arc::new(Notify::new());
        *self.next.lock().unwrap() = Arc::clone(&next);
        let (sender, mut receiver) =
            mpsc::channel::<Result<_, Box<dyn std::error::Error + Send + Sync>>>(1);
        tokio::spawn(async move {
            for number in 1..=3 {
                if number > 1 {
                    next.notified().await;
                }
                let event = format!("data: {number}\n\n");
                if sender.send(Ok(Frame::data(Bytes::from(event)))).await.is_err() {
                    return;
                }
            }
        });
        let frames = crate::support::origin::stream(move |cx| receiver.poll_recv(cx));
        let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }
}

async fn uploaded(request: Request<Incoming>) -> Reply {
    let method = request.method().clone();
    let (mut length, mut context) = (0, Context::new(&SHA256));
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.unwrap().into_data() else { continue };
        length += data.len();
        context.update(&data);
    }
    text(format!("{method} {length} {}", hex(context)))
}
