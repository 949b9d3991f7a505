//! Anthropic's API on loopback: messages with streaming, as far as Claude Code asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use moat_provider_core::BoxFuture;
use moat_provider_testkit::Canary;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::machine::Machine;
use crate::model::{BEGINNING, endless, is_held};
use crate::vendor::{Arrival, Double, Reply, json as reply, text};

pub(crate) const API: &str = "api.anthropic.com";

/// What the client says with a subscription's token, and must say.
const OAUTH: &str = "oauth-2025-04-20";

/// The API, and the person's two credentials.
pub(crate) struct Anthropic {
    subscription: Canary,
    key: Canary,
    /// How many of the next requests for a message find the service overloaded.
    pub(crate) overloaded: AtomicUsize,
    /// How many more parts of a streamed message may be sent.
    pub(crate) parts: Arc<Semaphore>,
}

impl Anthropic {
    pub(crate) fn new() -> Self {
        Self {
            subscription: Canary::with_prefix("sk-ant-oat01-"),
            key: Canary::with_prefix("sk-ant-api03-"),
            overloaded: AtomicUsize::new(0),
            parts: Arc::new(Semaphore::new(0)),
        }
    }

    /// Returns the file of a login with the subscription, as Claude Code keeps it.
    pub(crate) fn login(&self) -> String {
        const LATER: i64 = 4_102_444_800_000;
        let scopes = ["user:inference", "user:profile"];
        json!({"claudeAiOauth": {
            "accessToken": self.subscription.text(), "refreshToken": "unused",
            "expiresAt": LATER, "scopes": scopes, "subscriptionType": "pro",
        }})
        .to_string()
    }

    /// Grants both credentials.
    pub(crate) async fn grant(&self, machine: &Machine) {
        machine.grant("claude", "CLAUDE_CODE_OAUTH_TOKEN", &self.subscription).await;
        machine.grant("anthropic", "ANTHROPIC_API_KEY", &self.key).await;
    }
}

impl Double for Anthropic {
    fn hosts(&self) -> &[&str] {
        &[API]
    }

    fn canaries(&self) -> Vec<&Canary> {
        vec![&self.subscription, &self.key]
    }

    fn account(&self, head: &Parts) -> Option<&'static str> {
        let field = |name: &str| {
            let value = head.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let (bearer, key) = (field(AUTHORIZATION.as_str()), field("x-api-key"));
        let is_oauth = field("anthropic-beta").split(',').any(|beta| beta.trim() == OAUTH);
        if bearer == format!("Bearer {}", self.subscription.text()) && key.is_empty() && is_oauth {
            return Some("subscription");
        }
        (key == self.key.text() && bearer.is_empty() && !is_oauth).then_some("key")
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let (path, account) = (arrival.path().to_owned(), arrival.account());
            let sent = arrival.body().await;
            match (account, &*path) {
                (None, _) => {
                    reply(401, &error("authentication_error", "invalid x-api-key or token"))
                }
                (_, "/v1/messages") if self.is_overloaded() => {
                    reply(529, &error("overloaded_error", "Overloaded"))
                }
                (_, "/v1/messages") => {
                    self.messages(&serde_json::from_slice(&sent).unwrap_or_default())
                }
                (_, "/v1/messages/count_tokens") => reply(200, &json!({"input_tokens": 10})),
                (_, "/v1/models") => reply(200, &json!({"data": [], "has_more": false})),
                _ => reply(404, &error("not_found_error", "Not found")),
            }
        })
    }
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// Returns the messages since the person said something: those behind have results of tools, or what
/// the model said.
fn turn(asked: &Value) -> &[Value] {
    let messages = asked["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_result = |block: &Value| block["type"] == "tool_result";
    let is_prompt = |message: &Value| {
        let blocks = message["content"].as_array();
        message["role"] == "user" && !blocks.is_some_and(|blocks| blocks.iter().any(is_result))
    };
    &messages[messages.iter().rposition(is_prompt).unwrap_or_default()..]
}

/// What a message says.
fn content(asked: &Value) -> Value {
    let turn = turn(asked);
    let said = json!(turn).to_string();
    let behind = |word: &str| {
        let rest = said.split(word).nth(1)?;
        Some(rest.split(['"', '\\']).next().unwrap_or_default().trim().to_owned())
    };
    let blocks = turn.iter();
    let blocks = blocks.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let of = |kind: &str| blocks.clone().filter(|block| block["type"] == kind).collect::<Vec<_>>();
    let (called, results) = (of("tool_use"), of("tool_result"));
    let is_called = |name: &str| called.iter().any(|call| call["name"] == name);
    let tools = asked["tools"].as_array().into_iter().flatten();
    let has = |name: &str| tools.clone().any(|tool| tool["name"] == name);
    let call = |name: &str, input: Value| {
        let id = format!("toolu_{}", called.len());
        json!({"type": "tool_use", "id": id, "name": name, "input": input})
    };
    match (behind("TOOL:"), behind("USE:")) {
        (Some(command), _) if has("Bash") && !is_called("Bash") => {
            return call("Bash", json!({"command": command, "description": "asked for"}));
        }
        (_, Some(name)) if has(&name) && !is_called(&name) => return call(&name, json!({})),
        // Tools of servers are looked for before they are used (Claude Code 2.1.197).
        (_, Some(name)) if has("ToolSearch") && !is_called("ToolSearch") => {
            let query = format!("select:{name}");
            return call("ToolSearch", json!({"query": query, "max_results": 5}));
        }
        _ => {}
    }
    let text = match (results.last(), behind("SAY:")) {
        (Some(result), _) => format!("it printed {}", result["content"]),
        (None, Some(word)) => format!("the double says {word}"),
        (None, None) => "hello from the double".to_owned(),
    };
    json!({"type": "text", "text": text})
}

/// Returns the events of a message, as the API streams them.
fn events(mut message: Value, content: &Value, stop: &str) -> Vec<Value> {
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    let (start, deltas) = if stop == "tool_use" {
        let mut start = content.clone();
        start["input"] = json!({});
        let input = content["input"].to_string();
        (start, vec![json!({"type": "input_json_delta", "partial_json": input})])
    } else {
        let words = content["text"].as_str().unwrap().split_inclusive(' ');
        let deltas = words.map(|word| json!({"type": "text_delta", "text": word}));
        (json!({"type": "text", "text": ""}), deltas.collect())
    };
    let mut events = vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
    ];
    let delta = |delta| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    events.extend(deltas.into_iter().map(delta));
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.push(json!({
        "type": "message_delta", "usage": {"output_tokens": 5},
        "delta": {"stop_reason": stop, "stop_sequence": null},
    }));
    events.push(json!({"type": "message_stop"}));
    events
}

fn line(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

fn stream(mut answer: Reply) -> Reply {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

impl Anthropic {
    fn is_overloaded(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.overloaded.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Does what the prompt says: `TOOL:command` has the client run a command, `USE:tool` has it use
    /// a tool, and what that returned is repeated; `SAY:word` has the word in the answer, and `HOLD:`
    /// no end; `PARTS:count` is answered with so many parts, each after the test lets it go.
    fn messages(&self, asked: &Value) -> Reply {
        let said = json!(turn(asked)).to_string();
        let parts =
            said.split("PARTS:").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
        let mut content = content(asked);
        if let Some(parts) = parts {
            let text: String = (1..=parts).map(|part: usize| format!("part-{part} ")).collect();
            content = json!({"type": "text", "text": text});
        }
        if is_held(&said) {
            content = json!({"type": "text", "text": BEGINNING});
        }
        let stop = if content["type"] == "tool_use" { "tool_use" } else { "end_turn" };
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"],
            "content": [content], "stop_reason": stop, "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        });
        if asked["stream"] != true {
            return reply(200, &message);
        }
        let events = events(message, &content, stop);
        if is_held(&said) {
            let sent = events.iter().take_while(|event| event["type"] != "content_block_stop");
            return endless(sent.map(line).collect());
        }
        if parts.is_some() {
            return self.held_back(events);
        }
        stream(text(200, Bytes::from(events.iter().map(line).collect::<String>())))
    }

    /// Sends each part of a text only after the test lets it go.
    fn held_back(&self, events: Vec<Value>) -> Reply {
        let (sender, receiver) = mpsc::channel(1);
        let parts = Arc::clone(&self.parts);
        tokio::spawn(async move {
            for event in events {
                if event["type"] == "content_block_delta" {
                    parts.acquire().await.unwrap().forget();
                }
                if sender.send(Ok(Frame::data(Bytes::from(line(&event))))).await.is_err() {
                    return;
                }
            }
        });
        let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
        stream(Reply::new(StreamBody::new(frames).boxed_unsync()))
    }
}
