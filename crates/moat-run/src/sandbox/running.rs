//! A sandbox that runs.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::JoinHandle;

use super::process::{Exit, Handle, Process};
use super::streams::Streams;
use crate::{Result, RunError, RunErrorKind};

/// A signal for the command in a sandbox; it goes to the command's whole group.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGHUP`: its terminal is gone.
    Hangup,
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGQUIT`: Ctrl-\.
    Quit,
    /// `SIGTERM`: please end.
    Terminate,
    /// `SIGTSTP`: Ctrl-Z.
    Stop,
    /// `SIGCONT`: go on.
    Continue,
    /// `SIGUSR1`.
    User1,
    /// `SIGUSR2`.
    User2,
    /// `SIGKILL`: ends the sandbox with all that is in it.
    Kill,
}

impl Signal {
    fn native(self) -> rustix::process::Signal {
        use rustix::process::Signal as Native;
        match self {
            Self::Hangup => Native::HUP,
            Self::Interrupt => Native::INT,
            Self::Quit => Native::QUIT,
            Self::Terminate => Native::TERM,
            Self::Stop => Native::TSTP,
            Self::Continue => Native::CONT,
            Self::User1 => Native::USR1,
            Self::User2 => Native::USR2,
            Self::Kill => Native::KILL,
        }
    }

    /// Returns the name of the signal as engines take it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
            Self::Stop => "TSTP",
            Self::Continue => "CONT",
            Self::User1 => "USR1",
            Self::User2 => "USR2",
            Self::Kill => "KILL",
        }
    }
}

/// Signals of this process, which end it no more from now on: to be made before the sandbox starts,
/// whose command may be signalled as soon as it runs.
#[derive(Debug)]
pub(super) struct Heard(Vec<(Signal, unix::Signal)>);

impl Heard {
    pub(super) fn of(which: &[Signal]) -> io::Result<Self> {
        let listen = |which: &Signal| {
            let kind = SignalKind::from_raw(which.native().as_raw());
            Ok((*which, signal(kind)?))
        };
        which.iter().map(listen).collect::<io::Result<_>>().map(Self)
    }
}

/// How a sandbox that is not a process of ours alone is signalled.
pub(super) trait Remote: fmt::Debug + Send + Sync {
    fn signal(&self, signal: Signal) -> io::Result<()>;
}

/// Whom signals go to.
#[derive(Clone, Debug)]
struct Target {
    handle: Arc<Handle>,
    remote: Option<Arc<dyn Remote>>,
}

impl Target {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        match &self.remote {
            Some(remote) => remote.signal(signal),
            None if signal == Signal::Kill => {
                self.handle.kill();
                Ok(())
            }
            None => self.handle.signal(signal.native()),
        }
    }

    fn kill(&self) {
        if let Some(remote) = &self.remote {
            _ = remote.signal(Signal::Kill);
        }
        self.handle.kill();
    }
}

/// A sandbox that runs; killed when this is dropped.
///
/// With [`Stdio::Inherit`](crate::Stdio::Inherit), `SIGINT`, `SIGTERM`, `SIGHUP` and `SIGQUIT` of
/// this process are passed on to the command from the start on, for as long as this lives.
#[derive(Debug)]
pub struct Running {
    target: Target,
    process: Process,
    streams: Option<Streams>,
    code: Option<i32>,
    refused: Option<(i32, Arc<AtomicBool>)>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a command with [`Stdio::Captured`](crate::Stdio::Captured) left.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its exit code, or 128 and the number of the signal.
    pub code: i32,
    /// What it wrote, at most 64 MiB.
    pub stdout: Vec<u8>,
    /// What it complained, at most 64 MiB.
    pub stderr: Vec<u8>,
}

impl Running {
    pub(super) fn new(process: Process) -> Self {
        let target = Target { handle: Arc::clone(&process.handle), remote: None };
        Self { target, process, streams: None, code: None, refused: None, tasks: Vec::new() }
    }

    /// Sends signals this way instead of to the process.
    pub(super) fn remote(mut self, remote: Arc<dyn Remote>) -> Self {
        self.target.remote = Some(remote);
        self
    }

    /// Serves these streams.
    pub(super) fn streams(mut self, streams: Streams) -> Self {
        self.streams = Some(streams);
        self
    }

    /// Takes this exit code for one of the program that starts the sandbox, unless the bridge was
    /// there.
    pub(super) fn refused_by(mut self, code: i32, arrived: Arc<AtomicBool>) -> Self {
        self.refused = Some((code, arrived));
        self
    }

    /// Adds a task that ends with the sandbox.
    pub(super) fn task(mut self, task: JoinHandle<()>) -> Self {
        self.tasks.push(task);
        self
    }

    /// Passes signals of this process on.
    pub(super) fn pass_signals(mut self, heard: Heard) -> Self {
        for (passed, mut signals) in heard.0 {
            let target = self.target.clone();
            self.tasks.push(tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    _ = target.signal(passed);
                }
            }));
        }
        self
    }

    /// Lets this process live on when it gets signals that the command gets as well.
    pub(super) fn survive_signals(mut self, heard: Heard) -> Self {
        for (_, mut signals) in heard.0 {
            self.tasks.push(tokio::spawn(async move { while signals.recv().await.is_some() {} }));
        }
        self
    }

    /// Sends a signal to the command; nothing happens when it has ended.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::Io`] when the system refuses that.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.target.signal(signal).map_err(|error| {
            RunError::new(RunErrorKind::Io, "the sandbox cannot be signalled").with_source(error)
        })
    }

    /// Waits for the end and returns the command's exit code: 128 and the number of the signal
    /// when one ended it.
    ///
    /// May be given up and called again. A terminal is restored when this returns.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::SandboxFailed`] when the sandbox could not be set up.
    pub async fn wait(&mut self) -> Result<i32> {
        let code = self.end().await?;
        if let Some(streams) =
            self.streams.as_mut().filter(|s| !matches!(s, Streams::Captured { .. }))
        {
            streams.finish().await;
        }
        Ok(code)
    }

    /// Waits for the end and returns what a command with
    /// [`Stdio::Captured`](crate::Stdio::Captured) left.
    ///
    /// # Errors
    ///
    /// Those of [`Running::wait`]; its message then has the first line of what the sandbox said.
    pub async fn output(mut self) -> Result<Captured> {
        let end = self.end().await;
        let (stdout, stderr) = match &mut self.streams {
            Some(streams) => streams.finish().await,
            None => Default::default(),
        };
        match end {
            Ok(code) => Ok(Captured { code, stdout, stderr }),
            Err(error) => {
                let text = String::from_utf8_lossy(&stderr);
                let first: String =
                    text.lines().next().unwrap_or_default().chars().take(300).collect();
                let message = format!("{}: {}", error.message(), first.escape_debug());
                Err(RunError::new(error.kind(), message))
            }
        }
    }

    async fn end(&mut self) -> Result<i32> {
        if let Some(code) = self.code {
            return Ok(code);
        }
        let failed = |message: &'static str| RunError::new(RunErrorKind::SandboxFailed, message);
        let Exit { code, started } = (&mut self.process.exit)
            .await
            .map_err(|_| failed("the sandbox was lost"))?
            .map_err(|error| failed("the sandbox cannot be waited for").with_source(error))?;
        let refused = self.refused.as_ref();
        let is_refused = refused
            .is_some_and(|(refusal, arrived)| *refusal == code && !arrived.load(Ordering::Relaxed));
        if !started || is_refused {
            return Err(failed("the sandbox could not be set up"));
        }
        if code > 128 {
            // What starts the sandbox may have been killed, and have left something of it.
            self.target.kill();
        }
        self.code = Some(code);
        Ok(code)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.code.is_none() {
            self.target.kill();
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
