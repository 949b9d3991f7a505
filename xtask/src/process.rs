//! Starting programs: streamed for those who watch, and kept for the report.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::report::Failure;

/// How many of the last lines of a failed program the report repeats.
const TAIL_LINES: usize = 80;

/// Returns a command that runs `program` in `directory`.
#[expect(clippy::disallowed_methods, reason = "a build tool starts programs; it has no ports")]
pub(crate) fn command(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs `command` and shows its output while it runs, under a heading with the name of the step.
///
/// # Errors
///
/// The program cannot be started or fails; the failure carries the last lines of its output.
pub(crate) fn stream(step: &str, mut command: Command) -> Result<(), Failure> {
    let line = command_line(&command);
    println!("== {step}: {line}");
    if io::stdout().is_terminal() {
        // The program writes into pipes and would not use colours by itself.
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(&line, &error))?;
    let tail = tee(&mut child);
    let status = child.wait().map_err(|error| not_started(&line, &error))?;
    if status.success() { Ok(()) } else { Err(failed(&line, status, &tail.into_text())) }
}

/// Runs `command` without showing anything and returns what it wrote to its standard output.
///
/// # Errors
///
/// The program cannot be started or fails; the failure carries what it wrote to standard error.
pub(crate) fn capture(mut command: Command) -> Result<String, Failure> {
    let line = command_line(&command);
    let output = command.output().map_err(|error| not_started(&line, &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(&line, output.status, &String::from_utf8_lossy(&output.stderr)))
    }
}

/// Returns whether `command` can be started and succeeds; its output goes nowhere.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Writes a command as a person would type it.
fn command_line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default();
        let _ = write!(line, "{}={} ", name.display(), quoted(value));
    }
    let program = Path::new(command.get_program());
    line.push_str(&quoted(program.file_name().unwrap_or(program.as_os_str())));
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    if let Some(directory) = command.get_current_dir()
        && env::current_dir().is_ok_and(|current| current != directory)
    {
        let _ = write!(line, "  (in {})", directory.display());
    }
    line
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    if text.is_empty() || text.contains([' ', '\t', '\n']) {
        format!("'{text}'")
    } else {
        text.into_owned()
    }
}

fn not_started(line: &str, error: &io::Error) -> Failure {
    Failure::new(format!("$ {line}\ncould not be run: {error}"))
}

fn failed(line: &str, status: ExitStatus, output: &str) -> Failure {
    Failure::new(format!("$ {line}\n{}\n{status}", output.trim_end()))
}

/// Copies both streams of `child` to ours until they end, and returns their last lines.
fn tee(child: &mut Child) -> Tail {
    let tail = Mutex::new(Tail::default());
    thread::scope(|scope| {
        if let Some(stdout) = child.stdout.take() {
            scope.spawn(|| copy_lines(stdout, io::stdout(), &tail));
        }
        if let Some(stderr) = child.stderr.take() {
            scope.spawn(|| copy_lines(stderr, io::stderr(), &tail));
        }
    });
    tail.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Copies `from` line by line, so that the two streams do not cut into each other's lines.
fn copy_lines(from: impl Read, mut to: impl Write, tail: &Mutex<Tail>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed terminal must not end the check: its result is the exit code.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(&line);
        line.clear();
    }
}

/// The last lines that a program wrote to either stream.
#[derive(Debug, Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &[u8]) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(String::from_utf8_lossy(line).into_owned());
    }

    fn into_text(self) -> String {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh", &env::current_dir().unwrap());
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_failure_carries_both_streams_and_the_status() {
        let failure = stream("test", shell("echo one; echo two >&2; exit 3")).unwrap_err();
        let details = failure.details();
        assert!(details.starts_with("$ sh -c 'echo one; echo two >&2; exit 3'\n"), "{details}");
        assert!(details.contains("one\n"), "{details}");
        assert!(details.contains("two\n"), "{details}");
        assert!(details.ends_with("exit status: 3"), "{details}");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut tail = Tail::default();
        for number in 0..=TAIL_LINES {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.into_text();
        assert!(text.starts_with("line 1\n"), "{text}");
        assert_eq!(text.lines().count(), TAIL_LINES);
    }

    #[test]
    fn success_needs_no_report() {
        assert!(stream("test", shell("echo out; echo err >&2")).is_ok());
        assert_eq!(capture(shell("echo out; echo err >&2")).unwrap(), "out\n");
    }

    #[test]
    fn a_captured_failure_carries_standard_error() {
        let failure = capture(shell("echo out; echo err >&2; exit 1")).unwrap_err();
        assert!(failure.details().contains("\nerr\nexit status: 1"), "{}", failure.details());
    }

    #[test]
    fn a_missing_program_is_named() {
        let missing = command("no-such-program", &env::current_dir().unwrap());
        let failure = stream("test", missing).unwrap_err();
        assert!(failure.details().contains("$ no-such-program"), "{}", failure.details());
    }

    #[test]
    fn a_command_is_written_as_typed() {
        let mut cargo = command("/usr/bin/cargo", &env::current_dir().unwrap());
        cargo.arg("doc").env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command_line(&cargo), "RUSTDOCFLAGS='-D warnings' cargo doc");
        let elsewhere = command("cargo", Path::new("/"));
        assert_eq!(command_line(&elsewhere), "cargo  (in /)");
    }
}
