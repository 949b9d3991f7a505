//! GitHub's API of Copilot on loopback, as far as Copilot CLI asks for it.

use http::Method;
use serde_json::{Value, json};

use crate::mcp;
use crate::model::{BEGINNING, Turn, hold, stream};
use crate::vendor::{Arrival, Reply, json as reply};

/// The host that GitHub names for the account's plan.
pub(crate) const API: &str = "api.individual.githubcopilot.com";

/// Whose Copilot it is, and where it is served.
pub(crate) fn user() -> Value {
    json!({
        "login": "octocat", "copilot_plan": "individual_pro", "chat_enabled": true,
        "access_type_sku": "plus_monthly_subscriber_quota", "is_mcp_enabled": true,
        "endpoints": {"api": format!("https://{API}")}, "quota_snapshots": {},
    })
}

/// Answers whoever has the token.
pub(crate) async fn answer(arrival: Arrival) -> Reply {
    let path = arrival.path().to_owned();
    let is_call = arrival.head().method() == Method::POST;
    let sent = arrival.body().await;
    let asked: Value = serde_json::from_slice(&sent).unwrap_or_default();
    match &*path {
        "/models" => {
            let models = ["claude-sonnet-4.5", "gpt-4.1", "gpt-5-mini", "gpt-5.2"].map(model);
            reply(200, &json!({"object": "list", "data": models}))
        }
        "/chat/completions" => completed(&asked),
        // GitHub's own server; here it has no tools.
        "/mcp/readonly" if is_call => mcp::answered(&asked, &json!([])),
        "/mcp/readonly" => reply(405, &json!({"message": "Method Not Allowed"})),
        _ => reply(404, &json!({"message": "Not Found"})),
    }
}

fn model(id: &str) -> Value {
    let limits = json!({
        "max_context_window_tokens": 128_000, "max_output_tokens": 16_000,
        "max_prompt_tokens": 100_000,
    });
    let supports = json!({"streaming": true, "tool_calls": true, "parallel_tool_calls": true});
    json!({
        "id": id, "name": id, "object": "model", "vendor": "double", "version": id,
        "preview": false, "model_picker_enabled": true, "policy": {"state": "enabled"},
        "billing": {"is_premium": false, "multiplier": 1},
        "supported_endpoints": ["/chat/completions"],
        "capabilities": {
            "type": "chat", "family": id, "object": "model_capabilities",
            "tokenizer": "o200k_base", "limits": limits, "supports": supports,
        },
    })
}

fn completed(asked: &Value) -> Reply {
    let texts = |content: &'_ Value| -> Vec<String> {
        let parts = content.as_array().into_iter().flatten();
        let parts = parts.filter_map(|part| part["text"].as_str());
        content.as_str().into_iter().chain(parts).map(str::to_owned).collect()
    };
    let messages = asked["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // What the person said last, and what came of it.
    let last = messages.iter().rposition(|message| message["role"] == "user").unwrap_or_default();
    let messages = messages[last..].iter();
    let of = |role: &'static str| messages.clone().filter(move |message| message["role"] == role);
    let said: Vec<_> = of("user").flat_map(|message| texts(&message["content"])).collect();
    let said: Vec<_> = said.iter().map(String::as_str).collect();
    let result = of("tool").next_back().map(|message| message["content"].to_string());
    let tools = asked["tools"].as_array().into_iter().flatten();
    let tools: Vec<_> = tools.filter_map(|tool| tool["function"]["name"].as_str()).collect();
    let turn = Turn::next(&said, &tools, result.as_deref());
    let is_held = turn == Turn::Hold;
    let (message, reason) = match turn {
        Turn::Hold => (json!({"role": "assistant", "content": BEGINNING}), "stop"),
        Turn::Say(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Turn::Call { tool, arguments } => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            let call =
                json!({"index": 0, "id": "call_1", "type": "function", "function": function});
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            (message, "tool_calls")
        }
    };
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let mut answer = json!({"id": "1", "created": 1, "model": asked["model"], "usage": usage});
    if asked["stream"] != true {
        answer["object"] = "chat.completion".into();
        answer["choices"] = json!([{"index": 0, "message": message, "finish_reason": reason}]);
        return reply(200, &answer);
    }
    answer["object"] = "chat.completion.chunk".into();
    let chunk = |delta: Value, reason: Option<&str>| {
        let mut chunk = answer.clone();
        chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        chunk.to_string()
    };
    if is_held {
        return hold([chunk(message, None)]);
    }
    stream([chunk(message, None), chunk(json!({}), Some(reason)), "[DONE]".to_owned()])
}
