//! The model: it does what the prompt says.

use serde_json::{Value, json};

use crate::model::Turn;

/// Returns the events of a response.
///
/// A client's functions are called as the model of every vendor calls them. Codex offers its tools as
/// functions of a script (0.169.0): `TOOL:command` has it run a command, `MCP:tool` has it call a tool.
/// What that gave is repeated.
pub(super) fn events(asked: &Value) -> Vec<Value> {
    if asked["generate"] == false {
        return around(asked, None);
    }
    let input = asked["input"].as_array().map(Vec::as_slice).unwrap_or_default();
    // Most clients leave out that it is a message.
    let is_of_person = |item: &Value| item["role"] == "user";
    let last = input.iter().rposition(is_of_person);
    let prompt = last.map(|at| texts(&input[at])).unwrap_or_default();
    let since = last.map_or(0, |at| at + 1);
    let is_output = |item: &&Value| item["type"].as_str().unwrap_or_default().ends_with("_output");
    let output = input[since..].iter().find(is_output);
    // Pi has them in a message to the model (1.5.2).
    let offers = std::iter::once(asked).chain(input);
    let tools = offers.flat_map(|offer| offer["tools"].as_array().into_iter().flatten());
    let functions = tools.filter(|tool| tool["type"] == "function");
    let functions: Vec<_> = functions.filter_map(|tool| tool["name"].as_str()).collect();
    let result = output.map(|item| item["output"].to_string());
    if let Turn::Call { tool, arguments } = Turn::next(&[&prompt], &functions, result.as_deref()) {
        let call = json!({
            "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool,
            "status": "completed", "arguments": arguments.to_string(),
        });
        return around(asked, Some(call));
    }
    let script = match (prompt.split_once("TOOL:"), prompt.split_once("MCP:")) {
        (Some((_, command)), _) => {
            let question = json!({"cmd": command.trim()});
            Some(format!("tools.exec_command({question})"))
        }
        (_, Some((_, tool))) => Some(format!("tools.{}({{}})", tool.trim())),
        _ => None,
    };
    let item = match script {
        Some(call) if output.is_none() => json!({
            "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "exec",
            "namespace": "functions", "status": "completed",
            "input": format!("const r = await {call}; text(JSON.stringify(r));"),
        }),
        _ => {
            let words = format!("hello from the double {}", result.unwrap_or_default());
            json!({
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": words, "annotations": []}],
            })
        }
    };
    around(asked, Some(item))
}

/// Puts one thing of the response between its beginning and its end.
fn around(asked: &Value, item: Option<Value>) -> Vec<Value> {
    let response = |status: &str, output: Vec<&Value>| {
        json!({
            "id": "resp_1", "object": "response", "created_at": 1, "status": status,
            "model": asked["model"], "output": output,
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        })
    };
    let begun = response("in_progress", vec![]);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    events.extend(item.as_ref().map(streamed).unwrap_or_default());
    let completed = response("completed", item.iter().collect());
    events.push(json!({"type": "response.completed", "response": completed}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

/// Makes the events of one thing: it begins empty, what is in it comes in pieces, and then it is there
/// as a whole. Most clients show the pieces alone; Codex waits for the whole.
///
/// Source: OpenAI's API reference, "Streaming events" of the Responses API.
fn streamed(item: &Value) -> Vec<Value> {
    let mut empty = item.clone();
    empty["status"] = json!("in_progress");
    let event = |name: &str, rest: Value| {
        let mut event = json!({"type": format!("response.{name}"), "output_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let of_item = |name: &str, mut rest: Value| {
        rest["item_id"] = item["id"].clone();
        event(name, rest)
    };
    let pieces = if item["type"] == "message" {
        empty["content"] = json!([]);
        let part = &item["content"][0];
        let of_part = |name: &str, mut rest: Value| {
            rest["content_index"] = json!(0);
            of_item(name, rest)
        };
        let mut begun = part.clone();
        begun["text"] = json!("");
        let text = part["text"].as_str().unwrap();
        let (one, other) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let delta = |text: &str| of_part("output_text.delta", json!({"delta": text}));
        vec![
            of_part("content_part.added", json!({"part": begun})),
            delta(one),
            delta(other),
            of_part("output_text.done", json!({"text": text})),
            of_part("content_part.done", json!({"part": part})),
        ]
    } else {
        let (field, name) = match item["type"] == "function_call" {
            true => ("arguments", "function_call_arguments"),
            false => ("input", "custom_tool_call_input"),
        };
        empty[field] = json!("");
        let written = &item[field];
        vec![
            of_item(&format!("{name}.delta"), json!({"delta": written})),
            of_item(&format!("{name}.done"), json!({field: written})),
        ]
    };
    let added = event("output_item.added", json!({"item": empty}));
    let done = event("output_item.done", json!({"item": item}));
    [vec![added], pieces, vec![done]].concat()
}

fn texts(message: &Value) -> String {
    let parts = message["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}
