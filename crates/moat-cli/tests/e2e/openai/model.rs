//! The model: it does what the prompt says.

use serde_json::{Value, json};

/// Returns the events of a response.
///
/// `TOOL:command` has Codex run a command, `MCP:tool` has it call a tool; what that gave is
/// repeated. Codex offers both to the model as functions of a script (0.169.0).
pub(super) fn events(asked: &Value) -> Vec<Value> {
    if asked["generate"] == false {
        return around(asked, None);
    }
    let input = asked["input"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_of_person = |item: &Value| item["type"] == "message" && item["role"] == "user";
    let last = input.iter().rposition(is_of_person);
    let prompt = last.map(|at| texts(&input[at])).unwrap_or_default();
    let since = last.map_or(0, |at| at + 1);
    let is_output = |item: &&Value| item["type"].as_str().unwrap_or_default().ends_with("_output");
    let output = input[since..].iter().find(is_output);
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
            let given = output.map(|item| item["output"].to_string()).unwrap_or_default();
            let words = format!("hello from the double {given}");
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
    let mut events =
        vec![json!({"type": "response.created", "response": response("in_progress", vec![])})];
    if let Some(item) = &item {
        let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item});
        let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
        events.extend([added, done]);
    }
    let output = item.iter().collect();
    let completed = response("completed", output);
    events.push(json!({"type": "response.completed", "response": completed}));
    events
}

fn texts(message: &Value) -> String {
    let parts = message["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}
