//! The standard streams of a sandbox.

use std::fs::File;
use std::io::{self, IsTerminal, PipeWriter, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use tokio::sync::oneshot;

use super::pump::{self, Stop};
use super::terminal::{self, Joined, Terminal, duplicate};
use crate::Stdio;

/// The most bytes that are collected of one stream.
const CAPTURED: u64 = 64 * 1024 * 1024;

/// The host's ends of streams, before the sandbox starts.
#[derive(Debug)]
pub(super) enum Prepared {
    Captured { stdout: io::PipeReader, stderr: io::PipeReader },
    Terminal(Box<Terminal>),
    Relayed { input: Option<PipeWriter>, outputs: Vec<(io::PipeReader, std::fs::File)> },
}

/// The host's ends of streams, with threads that serve them.
#[derive(Debug)]
pub(super) enum Streams {
    Captured { stdout: oneshot::Receiver<Vec<u8>>, stderr: oneshot::Receiver<Vec<u8>> },
    Terminal(Joined),
    Relayed { stop: Stop, outputs: Vec<oneshot::Receiver<()>> },
}

/// A sandbox's ends of its standard streams.
#[derive(Debug)]
pub(super) struct Standard {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Standard {
    /// Gives them to a command.
    pub(super) fn give_to(self, command: &mut Command) {
        command.stdin(self.stdin).stdout(self.stdout).stderr(self.stderr);
    }
}

/// Makes the streams of a command.
///
/// A terminal of the person's never goes into a sandbox: whoever holds one can read what is typed
/// there. What is no terminal is handed on as it is.
pub(super) fn prepare(stdio: Stdio) -> io::Result<(Standard, Prepared)> {
    if stdio == Stdio::Captured {
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let stdin = File::open("/dev/null")?.into();
        let standard = Standard { stdin, stdout: out.into(), stderr: err.into() };
        return Ok((standard, Prepared::Captured { stdout, stderr }));
    }
    if terminal::is_here() {
        let (terminal, user) = Terminal::open()?;
        let (stdin, stdout) = (user.try_clone()?, user.try_clone()?);
        // Errors that were redirected stay redirected.
        let stderr = if io::stderr().is_terminal() { user } else { own(&io::stderr())? };
        let standard = Standard { stdin, stdout, stderr };
        return Ok((standard, Prepared::Terminal(Box::new(terminal))));
    }
    let (stdin, input) = if io::stdin().is_terminal() {
        let (reader, writer) = pipe()?;
        (reader.into(), Some(writer))
    } else {
        (own(&io::stdin())?, None)
    };
    let mut outputs = Vec::new();
    let stdout = relayed(&io::stdout(), &mut outputs)?;
    let stderr = relayed(&io::stderr(), &mut outputs)?;
    Ok((Standard { stdin, stdout, stderr }, Prepared::Relayed { input, outputs }))
}

/// Returns what a sandbox gets for an output: a pipe for a terminal, else the stream itself.
fn relayed(
    stream: &(impl AsFd + IsTerminal),
    outputs: &mut Vec<(io::PipeReader, std::fs::File)>,
) -> io::Result<OwnedFd> {
    if !stream.is_terminal() {
        return own(stream);
    }
    let (reader, writer) = pipe()?;
    outputs.push((reader, duplicate(stream)?));
    Ok(writer.into())
}

fn own(stream: &impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

impl Prepared {
    /// Whether the sandbox got a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Begins to serve the streams of a sandbox that was started.
    pub(super) fn begin(self) -> io::Result<Streams> {
        Ok(match self {
            Self::Captured { stdout, stderr } => Streams::Captured {
                stdout: pump::collect(stdout, CAPTURED)?,
                stderr: pump::collect(stderr, CAPTURED)?,
            },
            Self::Terminal(terminal) => Streams::Terminal(terminal.join()?),
            Self::Relayed { input, outputs } => {
                let stop = Stop::new()?;
                if let Some(input) = input {
                    let input = std::fs::File::from(OwnedFd::from(input));
                    pump::until_stopped(duplicate(&io::stdin())?, input, stop.clone())?;
                }
                let outputs = outputs.into_iter();
                let outputs = outputs.map(|(from, to)| pump::to_the_end(from, to, None));
                Streams::Relayed { stop, outputs: outputs.collect::<io::Result<_>>()? }
            }
        })
    }
}

impl Streams {
    /// Waits until all that the sandbox wrote has arrived; returns what was captured.
    pub(super) async fn finish(&mut self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Captured { stdout, stderr } => {
                (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default())
            }
            Self::Terminal(joined) => {
                joined.finish().await;
                Default::default()
            }
            Self::Relayed { stop, outputs } => {
                stop.stop();
                for output in std::mem::take(outputs) {
                    _ = output.await;
                }
                Default::default()
            }
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        if let Self::Relayed { stop, .. } = self {
            stop.stop();
        }
    }
}
