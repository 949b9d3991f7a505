//! GitHub on loopback: it accepts the token alone, and answers 401 to anything else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use http::request::Parts;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use moat_provider_core::BoxFuture;
use moat_provider_testkit::Canary;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc};

use crate::copilot::api as copilot;
use crate::forge;
use crate::vendor::{Arrival, Double, Reply, body, json as reply, text};

/// The hosts that the grant is for.
pub(crate) const API: &str = "api.github.com";
pub(crate) const FORGE: &str = "github.com";

/// Who has the token.
pub(crate) const LOGIN: &str = "octocat";

/// How long `/blob` is.
pub(crate) const BLOB: usize = 1024 * 1024 + 17;

pub(crate) struct GitHub {
    pub(crate) token: Canary,
    accepted: Vec<String>,
    repositories: PathBuf,
    /// Lets the events go on that were asked for last.
    next: Mutex<Arc<Notify>>,
}

impl GitHub {
    pub(crate) fn new(repositories: PathBuf) -> Self {
        let token = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
        let basic = STANDARD.encode(format!("x-access-token:{}", token.text()));
        let accepted = ["Bearer", "token"].map(|scheme| format!("{scheme} {}", token.text()));
        let accepted = accepted.into_iter().chain([format!("Basic {basic}")]).collect();
        Self { token, accepted, repositories, next: Mutex::default() }
    }

    async fn api(&self, path: &str, request: Request<Incoming>) -> Reply {
        match path {
            "/" => {
                let mut root =
                    reply(200, &json!({"current_user_url": "https://api.github.com/user"}));
                root.headers_mut()
                    .insert("x-oauth-scopes", HeaderValue::from_static("repo, read:org, gist"));
                root
            }
            "/copilot_internal/user" => reply(200, &copilot::user()),
            "/user" => reply(200, &json!({"login": "octocat", "id": 1})),
            "/graphql" => graphql(&body(request).await),
            "/blob" => blob_part(&request),
            "/echo" => {
                let sent = request.headers()[AUTHORIZATION].to_str().unwrap();
                text(200, format!("you sent {sent}\n"))
            }
            "/elsewhere" => {
                let mut moved = text(302, "");
                let to = HeaderValue::from_static("https://elsewhere.test/after");
                moved.headers_mut().insert(LOCATION, to);
                moved
            }
            "/events" => self.events(),
            "/next" => {
                self.next.lock().unwrap().notify_one();
                text(200, "next")
            }
            "/upload" => {
                let method = request.method().clone();
                let sent = body(request).await;
                text(200, format!("{method} {} {}", sent.len(), hash(&sent)))
            }
            _ => text(200, "{\"you\": \"sent\"}"),
        }
    }

    /// Answers with three events, each after the one before was asked to be followed.
    fn events(&self) -> Reply {
        let next = Arc::new(Notify::new());
        *self.next.lock().unwrap() = Arc::clone(&next);
        let (sender, receiver) = mpsc::channel(1);
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
        let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }
}

impl Double for GitHub {
    fn hosts(&self) -> &[&str] {
        &[API, FORGE, copilot::API, "uploads.github.com", "raw.githubusercontent.com"]
    }

    fn canaries(&self) -> Vec<&Canary> {
        vec![&self.token]
    }

    fn account(&self, head: &Parts) -> Option<&'static str> {
        let sent = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
        self.accepted.iter().any(|accepted| accepted == sent).then_some(LOGIN)
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let is_known = arrival.account().is_some();
            let path = arrival.path().to_owned();
            if arrival.host() == FORGE && path != "/me" {
                return forge::answer(&self.repositories, arrival.into_request(), is_known).await;
            }
            if !is_known {
                return reply(401, &json!({"message": "Bad credentials"}));
            }
            if arrival.host() == copilot::API {
                return copilot::answer(arrival).await;
            }
            self.api(&path, arrival.into_request()).await
        })
    }
}

/// Answers what gh asks, by the names of its queries.
fn graphql(query: &[u8]) -> Reply {
    let query = String::from_utf8_lossy(query);
    let data = if query.contains("UserCurrent") {
        json!({"viewer": {"login": "octocat"}})
    } else if query.contains("PullRequestList") {
        json!({"repository": {"pullRequests": {
            "totalCount": 1,
            "pageInfo": {"hasNextPage": false, "endCursor": ""},
            "nodes": [{
                "number": 7, "title": "Seven", "state": "OPEN", "isDraft": false,
                "url": "https://github.com/o/r/pull/7", "headRefName": "seven",
                "headRepositoryOwner": {"id": "1", "login": "o"}, "isCrossRepository": false,
                "createdAt": "2026-01-01T00:00:00Z",
            }],
        }}})
    } else {
        json!({})
    };
    reply(200, &json!({ "data": data }))
}

/// Answers with the blob, or one range of it (RFC 9110, section 14).
fn blob_part(request: &Request<Incoming>) -> Reply {
    let range = request.headers().get(RANGE).and_then(|value| {
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((
            first.parse::<usize>().ok()?,
            last.parse::<usize>().unwrap_or(BLOB - 1).min(BLOB - 1),
        ))
    });
    let Some((first, last)) = range else { return text(200, blob()) };
    let mut part = text(206, blob().slice(first..=last));
    let field = format!("bytes {first}-{last}/{BLOB}");
    part.headers_mut().insert("content-range", field.parse().unwrap());
    part
}

/// Returns the bytes of `/blob`: no two kilobytes are alike.
pub(crate) fn blob() -> Bytes {
    (0..BLOB).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// Returns the SHA-256 hash in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
