//! What a model on loopback does: a prompt says it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio_stream::StreamExt;

use crate::vendor::{Reply, text};

/// How an answer begins of which the rest never comes.
pub(crate) const BEGINNING: &str = "the double begins\n\n";

/// Whether this is what a person said who wants such an answer.
pub(crate) fn is_held(said: &str) -> bool {
    said.contains("HOLD:")
}

/// The tools that run a command, by the names that the agents have for them.
const SHELLS: [&str; 2] = ["bash", "run_shell_command"];

/// One step of a conversation.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    Say(String),
    /// Nothing comes behind the [`BEGINNING`].
    Hold,
    Call {
        tool: String,
        arguments: Value,
    },
}

impl Turn {
    /// Decides what comes next: `TOOL:` and a command has the client run it, `USE:` and a word has it
    /// use the tool whose name ends like that, and what came of it is repeated; `SAY:` and a word has
    /// the word in the answer, and `HOLD:` no end.
    pub(crate) fn next(said: &[&str], tools: &[&str], result: Option<&str>) -> Self {
        if let Some(result) = result {
            return Self::Say(format!("hello from the double, it printed {result}"));
        }
        let behind = |mark| {
            let rest = said.iter().rev().find_map(|said| said.split(mark).nth(1))?;
            rest.lines().next().map(str::trim)
        };
        if said.last().is_some_and(|said| is_held(said)) {
            return Self::Hold;
        }
        if let Some((_, word)) = said.last().and_then(|said| said.split_once("SAY:")) {
            let word = word.lines().next().unwrap_or_default().trim();
            return Self::Say(format!("the double says {word}"));
        }
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
    of_events(text(200, lines(events)))
}

/// Answers with such events, and then with nothing more, not even an end.
pub(crate) fn hold(events: impl IntoIterator<Item = String>) -> Reply {
    endless(lines(events))
}

/// Answers with the beginning of a stream of events that never ends.
pub(crate) fn endless(beginning: String) -> Reply {
    let beginning = tokio_stream::once(Ok(Frame::data(Bytes::from(beginning))));
    let whole = beginning.chain(tokio_stream::pending());
    of_events(Reply::new(StreamBody::new(whole).boxed_unsync()))
}

fn lines(events: impl IntoIterator<Item = String>) -> String {
    events.into_iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn of_events(mut answer: Reply) -> Reply {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}
