//! Everything that reaches standard output and standard error goes through here.

mod color;
mod progress;
mod table;
mod text;
mod time;

use std::io::{self, Write};

use moat_provider_core::{Environment, Result as CoreResult};
use serde_json::Value;

pub(crate) use self::color::{ColorChoice, Colors, Paint};
pub(crate) use self::progress::Waiting;
pub(crate) use self::table::{Table, fields};
pub(crate) use self::text::{clipped, line, lines};
pub(crate) use self::time::{moment, relative};
use crate::error::{CliError, Code, Result};

/// Who reads the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// A person.
    #[default]
    Text,
    /// A program.
    Json,
}

/// How much is said beside the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// What a person wants to know.
    #[default]
    Normal,
    /// Errors and warnings alone.
    Quiet,
}

/// The two streams, and how they are written to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Output {
    format: Format,
    verbosity: Verbosity,
    colors: Colors,
}

impl Output {
    /// Makes the output of this process.
    ///
    /// # Errors
    ///
    /// Those of the environment.
    pub(crate) fn new(
        format: Format,
        verbosity: Verbosity,
        color: ColorChoice,
        environment: &dyn Environment,
    ) -> CoreResult<Self> {
        Ok(Self { format, verbosity, colors: Colors::decide(color, environment)? })
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Returns what colours results.
    pub(crate) fn paint(&self) -> Paint {
        self.colors.stdout
    }

    /// Whether a spinner may be shown while something takes long.
    pub(crate) fn shows_progress(&self) -> bool {
        self.verbosity == Verbosity::Normal
    }

    /// Writes a result: lines for a person or a document for a program. What stands in `text` is
    /// ours, or escaped already.
    ///
    /// # Errors
    ///
    /// When nothing can be written.
    pub(crate) fn result(&self, text: &str, json: impl FnOnce() -> Value) -> Result<()> {
        match self.format {
            Format::Text => self.raw(&ended(text)),
            Format::Json => self.raw(&format!("{}\n", ascii(&format!("{:#}", json())))),
        }
    }

    /// Writes to standard output as it is.
    ///
    /// # Errors
    ///
    /// When nothing can be written.
    pub(crate) fn raw(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| CliError::of_output(&error))
    }

    /// Tells the person something beside the result.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity == Verbosity::Normal {
            say(&format!("{}\n", lines(text)));
        }
    }

    /// Warns the person, also when asked to be quiet.
    pub(crate) fn warn(&self, text: &str) {
        say(&format!("{} {}\n", self.colors.stderr.yellow("warning:"), lines(text)));
    }

    /// Shows an error: the sentence, its causes, the command that fixes it.
    pub(crate) fn error(&self, error: &CliError) {
        if error.code() == Code::Hangup {
            return;
        }
        let paint = self.colors.stderr;
        let mut text = format!("{} {}\n", paint.red("error:"), lines(error.message()));
        for cause in error.causes() {
            text.push_str(&format!("  because: {}\n", line(cause)));
        }
        if let Some(hint) = error.hint() {
            let hint = lines(hint).replace('\n', "\n    ");
            text.push_str(&format!("\n    {}\n", paint.cyan(&hint)));
        }
        say(&text);
    }
}

/// Writes to standard error. When that fails there is nobody left to tell.
fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// Escapes what JSON leaves as it is and a terminal acts upon or hides: all beyond ASCII. It only
/// stands in strings, where the escape means the same.
pub(crate) fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | ' '..='~' => escaped.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_ascii_and_means_the_same() {
        let value = json!({"a": "é\u{202e}\u{1f600}\u{7f}\u{1b}", "b": [1, null]});
        let text = ascii(&format!("{value:#}"));
        assert!(text.chars().all(|character| matches!(character, '\n' | ' '..='~')), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn text_ends_with_one_line_break() {
        assert_eq!(ended("a"), "a\n");
        assert_eq!(ended("a\n"), "a\n");
        assert_eq!(ended(""), "");
    }
}
