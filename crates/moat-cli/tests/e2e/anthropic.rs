//! Anthropic's API on loopback: messages with streaming, as far as Claude Code asks for it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use moat_provider_core::BoxFuture;
use moat_provider_testkit::Canary;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::vendor::{Arrival, Double, Reply, json as reply, text};

pub(crate) const API: &str = "api.anthropic.com";

/// What the client says with a subscription's token, and must say.
const OAUTH: &str = "oauth-2025-04-20";

/// The API, and the person's two credentials.
pub(crate) struct Anthropic {
    subscription: Canary,
    key: Canary,
}

impl Anthropic {
    pub(crate) fn new() -> Self {
        Self {
            subscription: Canary::with_prefix("sk-ant-oat01-"),
            key: Canary::with_prefix("sk-ant-api03-"),
        }
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
                (_, "/v1/messages") => messages(&serde_json::from_slice(&sent).unwrap_or_default()),
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

/// Does what the prompt says: `TOOL:command` has the client run a command, and what that printed
/// is repeated.
fn messages(asked: &Value) -> Reply {
    let said = asked["messages"].to_string();
    let has_tools = asked["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let wanted = said.split("TOOL:").nth(1).map(|rest| rest.split(['"', '\\']).next().unwrap());
    let blocks = asked["messages"].as_array().into_iter().flatten();
    let mut blocks = blocks.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let result = blocks.by_ref().filter(|block| block["type"] == "tool_result").last();
    let content = match wanted {
        Some(command) if has_tools && result.is_none() => json!({
            "type": "tool_use", "id": "toolu_1", "name": "Bash",
            "input": {"command": command.trim(), "description": "asked for"},
        }),
        _ => {
            let last = result.map(|block| block["content"].to_string()).unwrap_or_default();
            json!({"type": "text", "text": format!("hello from the double {last}")})
        }
    };
    let stop = if content["type"] == "tool_use" { "tool_use" } else { "end_turn" };
    let usage = json!({"input_tokens": 10, "output_tokens": 5});
    let mut message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    if asked["stream"] != true {
        message["content"] = json!([content]);
        message["stop_reason"] = stop.into();
        return reply(200, &message);
    }
    let (start, delta) = if stop == "tool_use" {
        let mut start = content.clone();
        start["input"] = json!({});
        let input = content["input"].to_string();
        (start, json!({"type": "input_json_delta", "partial_json": input}))
    } else {
        let delta = json!({"type": "text_delta", "text": content["text"]});
        (json!({"type": "text", "text": ""}), delta)
    };
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta", "usage": {"output_tokens": 5},
            "delta": {"stop_reason": stop, "stop_sequence": null},
        }),
        json!({"type": "message_stop"}),
    ];
    let line =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let mut answer = text(200, Bytes::from(events.iter().map(line).collect::<String>()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}
