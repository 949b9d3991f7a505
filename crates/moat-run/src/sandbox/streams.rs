//! The standard streams of a sandbox.

use std::fs::File;
use std::io::{self, IsTerminal, PipeWriter, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use rustix::fs::{FileType, fstat, stat};
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
    Terminal { terminal: Box<Terminal>, outputs: Vec<Output> },
    Relayed { input: Option<PipeWriter>, outputs: Vec<Output> },
}

/// What the sandbox writes, and where that goes.
#[derive(Debug)]
pub(super) struct Output {
    from: io::PipeReader,
    to: File,
}

/// The host's ends of streams, with threads that serve them.
#[derive(Debug)]
pub(super) enum Streams {
    Captured { stdout: oneshot::Receiver<Vec<u8>>, stderr: oneshot::Receiver<Vec<u8>> },
    Terminal { joined: Joined, outputs: Vec<oneshot::Receiver<()>> },
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
/// there. Neither does a file: whoever holds it for reading or writing opens it anew for both, by
/// `/proc/self/fd`, and by a directory reaches all of the host's files. Pipes and sockets are handed
/// on as they are.
pub(super) fn prepare(stdio: Stdio) -> io::Result<(Standard, Prepared)> {
    if stdio == Stdio::Captured {
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let stdin = File::open("/dev/null")?.into();
        let standard = Standard { stdin, stdout: out.into(), stderr: err.into() };
        return Ok((standard, Prepared::Captured { stdout, stderr }));
    }
    let mut outputs = Vec::new();
    if terminal::is_here() {
        let (terminal, user) = Terminal::open()?;
        let (stdin, stdout) = (user.try_clone()?, user.try_clone()?);
        // Errors that were redirected stay redirected.
        let stderr = match io::stderr().is_terminal() {
            true => user,
            false => output(&io::stderr(), &mut outputs)?,
        };
        let standard = Standard { stdin, stdout, stderr };
        let terminal = Box::new(terminal);
        return Ok((standard, Prepared::Terminal { terminal, outputs }));
    }
    let (stdin, input) = if is_harmless(&io::stdin())? {
        (own(&io::stdin())?, None)
    } else {
        let (reader, writer) = pipe()?;
        (reader.into(), Some(writer))
    };
    let stdout = output(&io::stdout(), &mut outputs)?;
    let stderr = match outputs.is_empty() || !is_one_file()? {
        true => output(&io::stderr(), &mut outputs)?,
        // By one pipe everything arrives in its order.
        false => stdout.try_clone()?,
    };
    Ok((Standard { stdin, stdout, stderr }, Prepared::Relayed { input, outputs }))
}

/// Returns what a sandbox gets for an output: the stream itself where that gives nothing away, else a
/// pipe.
fn output(stream: &impl AsFd, outputs: &mut Vec<Output>) -> io::Result<OwnedFd> {
    if is_harmless(stream)? {
        return own(stream);
    }
    let (from, writer) = pipe()?;
    outputs.push(Output { from, to: duplicate(stream)? });
    Ok(writer.into())
}

/// Whether whoever holds a stream can do no more with it than read or write.
fn is_harmless(stream: &impl AsFd) -> io::Result<bool> {
    let found = fstat(stream)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::Fifo | FileType::Socket => true,
        FileType::CharacterDevice => found.st_rdev == stat("/dev/null")?.st_rdev,
        _ => false,
    })
}

/// Whether output and errors go to one file.
fn is_one_file() -> io::Result<bool> {
    let (stdout, stderr) = (fstat(io::stdout())?, fstat(io::stderr())?);
    Ok((stdout.st_dev, stdout.st_ino) == (stderr.st_dev, stderr.st_ino))
}

fn own(stream: &impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

impl Prepared {
    /// Whether the sandbox got a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// Begins to serve the streams of a sandbox that was started.
    pub(super) fn begin(self) -> io::Result<Streams> {
        Ok(match self {
            Self::Captured { stdout, stderr } => Streams::Captured {
                stdout: pump::collect(stdout, CAPTURED)?,
                stderr: pump::collect(stderr, CAPTURED)?,
            },
            Self::Terminal { terminal, outputs } => {
                Streams::Terminal { joined: terminal.join()?, outputs: written(outputs)? }
            }
            Self::Relayed { input, outputs } => {
                let stop = Stop::new()?;
                if let Some(input) = input {
                    let input = std::fs::File::from(OwnedFd::from(input));
                    pump::until_stopped(duplicate(&io::stdin())?, input, stop.clone())?;
                }
                Streams::Relayed { stop, outputs: written(outputs)? }
            }
        })
    }
}

/// Writes what the sandbox writes to where it goes.
fn written(outputs: Vec<Output>) -> io::Result<Vec<oneshot::Receiver<()>>> {
    let outputs = outputs.into_iter().map(|Output { from, to }| match to.is_terminal() {
        true => pump::to_the_end(from, to),
        // As without a relay, whoever writes hears that a disk is full.
        false => pump::while_taken(from, to),
    });
    outputs.collect()
}

impl Streams {
    /// Waits until all that the sandbox wrote has arrived; returns what was captured.
    pub(super) async fn finish(&mut self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Captured { stdout, stderr } => {
                (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default())
            }
            Self::Terminal { joined, outputs } => {
                joined.finish().await;
                for output in std::mem::take(outputs) {
                    _ = output.await;
                }
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
