//! The command that starts an agent.

use moat_provider_core::{Error, Result};

/// A program with its arguments, put together so that no value is read as a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<String>,
    prompt: Option<String>,
}

impl CommandLine {
    /// Begins with a program, which is looked up in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self { words: vec![program.into()], prompt: None }
    }

    /// Adds a word as it is: a flag, a subcommand.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.words.push(name.to_owned());
        self
    }

    /// Adds an option and its value as one word, `--name=value`: so the value may begin with a dash.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.words.push(format!("{name}={value}"));
        self
    }

    /// Sets the prompt: the last word, behind `--`, so that it may begin with a dash (POSIX Utility
    /// Syntax Guidelines, guideline 10).
    #[must_use]
    pub fn prompt(mut self, prompt: &str) -> Self {
        self.prompt = Some(prompt.to_owned());
        self
    }

    /// Returns program and arguments.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when one of them
    /// holds a NUL, which no system can hand over.
    pub fn finish(self) -> Result<Vec<String>> {
        let mut words = self.words;
        if let Some(prompt) = self.prompt {
            words.extend(["--".to_owned(), prompt]);
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(Error::invalid("the prompt or an option holds a NUL character")
                .with_hint("leave it out"));
        }
        Ok(words)
    }
}
