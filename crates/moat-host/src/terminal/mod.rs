//! The person at the terminal.

mod attached;
mod browser;
mod ending;
mod line;
mod tty;

use std::io::{self, Write};

use moat_provider_core::{
    Answer, BoxFuture, CommandSpec, Error, ErrorKind, Result, Secret, Terminal, escape_line,
    escape_lines,
};
use tokio::sync::Mutex;

use self::attached::Attached;
pub use self::ending::EndingSignals;
use self::line::Echo;
use self::tty::{Capability, Question, Tty};
use crate::commands::SystemCommands;
use crate::environment::plain;

/// How much of a text is shown.
const MAX_SHOWN: usize = 64 * 1024;
/// What a program needs to draw on the terminal.
const DRAWING: &[&str] = &["TERM", "COLORTERM", "NO_COLOR"];

/// The terminal of this process.
///
/// Questions need standard input to be a terminal, and this process to be in its foreground; else
/// they fail at once with [`ErrorKind::NotInteractive`], and nothing is read. They are shown on the
/// terminal itself, wherever standard output and standard error go. Without a terminal,
/// [`tell`](Terminal::tell) writes to standard error.
///
/// Dropping the future of a question takes the question back; the terminal has its former modes
/// when the drop returns. A process that is killed with a signal in the middle of a question leaves
/// the terminal as it is, but for what [`EndingSignals`] hear.
///
/// Programs are started as [`SystemCommands`] does, with the person's whole terminal and the
/// variables that they need to draw on it and to open a browser (`TERM`, `COLORTERM`, `NO_COLOR`,
/// `DISPLAY` and the like).
#[derive(Debug)]
pub struct SystemTerminal {
    commands: SystemCommands,
    signals: Option<EndingSignals>,
    /// One thing at a time.
    turn: Mutex<()>,
}

impl SystemTerminal {
    /// Makes a terminal that starts programs with these commands.
    #[must_use]
    pub fn new(commands: SystemCommands) -> Self {
        Self { commands, signals: None, turn: Mutex::new(()) }
    }

    /// Has questions end before these signals end the process; without this the process ends in the
    /// middle of one.
    #[must_use]
    pub fn ended_by(mut self, signals: EndingSignals) -> Self {
        self.signals = Some(signals);
        self
    }

    async fn question(&self, prompt: String, echo: Echo) -> Result<Secret> {
        let term = plain(self.commands.environment(), "TERM")?;
        let capability = match term.as_deref() {
            None | Some("dumb") => Capability::Dumb,
            Some(_) => Capability::Ansi,
        };
        let _turn = self.turn.lock().await;
        Question::ask(prompt, echo, capability, self.signals.as_ref())?.answer().await
    }

    /// Asks for a line that is no secret.
    #[expect(clippy::disallowed_methods, reason = "it was shown on the terminal")]
    async fn line(&self, prompt: String) -> Result<String> {
        Ok(self.question(prompt, Echo::Shown).await?.expose().to_owned())
    }

    async fn choose_from(&self, question: &str, choices: &[&str]) -> Result<usize> {
        if choices.is_empty() {
            return Err(Error::invalid("there is nothing to choose from")
                .with_hint("report a bug of the provider that asked"));
        }
        let mut prompt = format!("{}\n", shown(question));
        for (number, choice) in (1..).zip(choices) {
            prompt.push_str(&format!("  {number}) {}\n", shown(choice)));
        }
        prompt.push_str("Number [1]: ");
        loop {
            let answer = self.line(prompt).await?;
            match answer.parse::<usize>() {
                _ if answer.is_empty() => return Ok(0),
                Ok(number) if (1..=choices.len()).contains(&number) => return Ok(number - 1),
                _ => prompt = format!("A number from 1 to {} [1]: ", choices.len()),
            }
        }
    }

    async fn confirm_with(&self, question: &str, default: Answer) -> Result<Answer> {
        let keys = match default {
            Answer::Yes => "[Y/n]",
            Answer::No => "[y/N]",
        };
        let mut prompt = format!("{} {keys} ", shown(question));
        loop {
            match self.line(prompt).await?.to_ascii_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(Answer::Yes),
                "n" | "no" => return Ok(Answer::No),
                _ => prompt = format!("y or n {keys} "),
            }
        }
    }
}

impl Terminal for SystemTerminal {
    fn tell<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut text = escape_lines(bounded(text)).into_owned();
            text.push('\n');
            let _turn = self.turn.lock().await;
            let told = match Tty::open() {
                Ok(mut tty) => tty.show(&text),
                Err(_) => io::stderr().write_all(text.as_bytes()),
            };
            told.map_err(|error| {
                Error::new(ErrorKind::Io, "nothing can be shown on standard error")
                    .with_hint("check where standard error goes")
                    .with_source(error)
            })
        })
    }

    fn ask<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.line(labelled(label)))
    }

    fn ask_secret<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(self.question(labelled(label), Echo::Hidden))
    }

    fn confirm<'a>(&'a self, question: &'a str, default: Answer) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(self.confirm_with(question, default))
    }

    fn choose<'a>(
        &'a self,
        question: &'a str,
        choices: &'a [&'a str],
    ) -> BoxFuture<'a, Result<usize>> {
        Box::pin(self.choose_from(question, choices))
    }

    fn run_attached<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<Option<i32>>> {
        Box::pin(async move {
            let session: Vec<_> = DRAWING.iter().chain(browser::DESKTOP).copied().collect();
            let prepared = self.commands.prepare(command, &session)?;
            let _turn = self.turn.lock().await;
            Attached::start(prepared, command.program())?.ended().await
        })
    }

    fn open_url<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(browser::open(&self.commands, url))
    }
}

fn labelled(label: &str) -> String {
    let label = shown(label);
    let end = if label.ends_with([':', '?']) { " " } else { ": " };
    format!("{label}{end}")
}

fn shown(text: &str) -> String {
    escape_line(bounded(text)).into_owned()
}

/// Cuts off what nobody would read.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
