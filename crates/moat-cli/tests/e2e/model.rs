//! What a model on loopback does: a prompt says it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::vendor::{Reply, text};

/// The tools that run a command, by the names that the agents have for them.
const SHELLS: [&str; 2] = ["bash", "run_shell_command"];

/// One step of a conversation.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    Say(String),
    Call { tool: String, arguments: Value },
}

impl Turn {
    /// Decides what comes next: `TOOL:` and a command has the client run it, `USE:` and a word has it
    /// use the tool whose name ends like that, and what came of it is repeated.
    pub(crate) fn next(said: &[&str], tools: &[&str], result: Option<&str>) -> Self {
        if let Some(result) = result {
            return Self::Say(format!("hello from the double, it printed {result}"));
        }
        let behind = |mark| {
            let rest = said.iter().rev().find_map(|said| said.split(mark).nth(1))?;
            rest.lines().next().map(str::trim)
        };
        let find = |is_it: &dyn Fn(&str) -> bool| tools.iter().find(|tool| is_it(tool));
        if let Some(command) = behind("TOOL:")
            && let Some(tool) = find(&|tool| SHELLS.contains(&tool))
        {
            let arguments = json!({"command": command, "description": "asked for"});
            return Self::Call { tool: (*tool).to_owned(), arguments };
        }
        if let Some(word) = behind("USE:")
            && let Some(tool) = find(&|tool| tool.ends_with(word))
        {
            return Self::Call { tool: (*tool).to_owned(), arguments: json!({}) };
        }
        Self::Say("hello from the double".to_owned())
    }
}

/// Answers with events that hold nothing but data.
pub(crate) fn stream(events: impl IntoIterator<Item = String>) -> Reply {
    let lines: String = events.into_iter().map(|event| format!("data: {event}\n\n")).collect();
    let mut answer = text(200, Bytes::from(lines));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}
