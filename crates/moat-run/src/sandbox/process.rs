//! A process of the host's, with a thread of its own that starts and awaits it.
//!
//! A sandbox is told to die with the *thread* that started it (`PR_SET_PDEATHSIG`), and threads of
//! a runtime come and go: so it gets one that lives as long as it does.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use tokio::sync::oneshot;

/// A process that was started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) handle: Arc<Handle>,
    pub(super) exit: oneshot::Receiver<io::Result<Exit>>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Its exit code, or 128 and the number of the signal.
    pub(super) code: i32,
    /// Whether its report says that the command was started; `true` when there is no report.
    pub(super) started: bool,
}

/// What signals go to; safe against the reuse of process ids.
#[derive(Debug)]
pub(super) struct Handle {
    /// The process.
    outer: OwnedFd,
    /// The one that it reported to be the first in the sandbox.
    inner: Option<OwnedFd>,
}

impl Handle {
    /// Sends a signal to the first process of the sandbox, or to the process itself.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        send(self.inner.as_ref().unwrap_or(&self.outer), signal)
    }

    /// Kills both.
    pub(super) fn kill(&self) {
        for process in self.inner.iter().chain([&self.outer]) {
            _ = send(process, Signal::KILL);
        }
    }
}

fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        // It has ended already.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Starts a process and returns when it runs. `report` is where it writes lines of JSON with the
/// process id of the sandbox's first process, and with its end (bubblewrap, `--json-status-fd`).
pub(super) async fn start(command: Command, report: Option<PipeReader>) -> io::Result<Process> {
    let (started, begun) = oneshot::channel();
    let (ended, exit) = oneshot::channel();
    let keep = move || match spawn(command, report) {
        Ok((child, handle, report)) => {
            if started.send(Ok(Arc::clone(&handle))).is_err() {
                // Nobody waits any more: the start was given up.
                handle.kill();
            }
            _ = ended.send(wait(child, report));
        }
        Err(error) => _ = started.send(Err(error)),
    };
    thread::Builder::new().name("moat-sandbox".into()).spawn(keep)?;
    let handle = begun.await.map_err(|_| io::Error::other("the thread of the sandbox ended"))??;
    Ok(Process { handle, exit })
}

type Report = Option<BufReader<PipeReader>>;

fn spawn(
    mut command: Command,
    report: Option<PipeReader>,
) -> io::Result<(Child, Arc<Handle>, Report)> {
    let mut child = command.spawn()?;
    // The command holds the sandbox's ends of pipes.
    drop(command);
    let reached = (|| {
        let outer = open(child.id())?;
        let mut report = report.map(BufReader::new);
        let inner = match &mut report {
            Some(report) => first_process(report)?,
            None => None,
        };
        Ok((Arc::new(Handle { outer, inner }), report))
    })();
    match reached {
        Ok((handle, report)) => Ok((child, handle, report)),
        Err(error) => {
            _ = child.kill();
            _ = child.wait();
            Err(error)
        }
    }
}

fn first_process(report: &mut BufReader<PipeReader>) -> io::Result<Option<OwnedFd>> {
    let mut line = String::new();
    // Nothing comes when it failed before there was a process.
    report.read_line(&mut line)?;
    let line: Value = serde_json::from_str(&line).unwrap_or_default();
    match line["child-pid"].as_u64().and_then(|id| u32::try_from(id).ok()) {
        Some(id) => match open(id) {
            Ok(process) => Ok(Some(process)),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            Err(error) => Err(error),
        },
        None => Ok(None),
    }
}

fn open(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::other("not a process id"))?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}

fn wait(mut child: Child, report: Report) -> io::Result<Exit> {
    let mut started = report.is_none();
    for line in report.into_iter().flat_map(BufRead::lines) {
        let line: Value = serde_json::from_str(&line?).unwrap_or_default();
        // The end of the command is reported only if there was a command.
        started |= line.get("exit-code").is_some();
    }
    let status = child.wait()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(Exit { code: code.unwrap_or(1), started: started || status.signal().is_some() })
}
