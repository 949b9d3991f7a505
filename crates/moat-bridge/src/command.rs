//! The command: how it starts, what it gets of signals, how it ends.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::tcgetsid;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getsid, setpgid, setsid, tcsetpgrp};
use rustix::termios::tcgetwinsize;

use crate::args::Program;
use crate::{signals, visit};

/// How often, and after which pauses, a terminal without a size is looked at: for half a second.
const SIZE_LOOKS: u32 = 50;
const SIZE_PAUSE: Duration = Duration::from_millis(10);

/// The command's process.
#[derive(Debug)]
pub(crate) struct Child(Pid);

/// Standard streams of a command's own.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl Child {
    /// Starts the command, with the streams of the bridge if it has none of its own. `soft` is how
    /// many descriptors it may open until it asks for more.
    pub(crate) fn spawn(
        program: &Program,
        soft: u64,
        streams: Option<Streams>,
    ) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "to start the command is what this is for")]
        let mut stage = Command::new("/proc/self/exe");
        std::os::unix::process::CommandExt::arg0(&mut stage, crate::NAME).arg("--exec");
        if program.terminal {
            stage.arg("--tty");
        }
        stage.args([OsStr::new("--soft"), soft.to_string().as_ref()]);
        if let Some(descriptors) = program.descriptors {
            stage.args([OsStr::new("--nofile"), descriptors.to_string().as_ref()]);
        }
        if let Some(processes) = program.processes {
            stage.args([OsStr::new("--nproc"), processes.to_string().as_ref()]);
        }
        if let Some(streams) = streams {
            stage.stdin(streams.stdin).stdout(streams.stdout).stderr(streams.stderr);
        }
        for variable in visit::VARIABLES {
            stage.env_remove(variable);
        }
        let child = stage.arg("--").args(&program.command).spawn()?;
        let id = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self(Pid::from_raw(id)))
    }

    /// Passes a signal on, to the whole group of the command as a terminal does it.
    pub(crate) fn signal(&self, signal: Signal) {
        // Until it leads its group there is only itself.
        if killpg(self.0, signal) == Err(Errno::ESRCH) {
            _ = kill(self.0, signal);
        }
    }

    /// Kills the command's group.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Whether this process is the command.
    pub(crate) fn is(&self, process: Pid) -> bool {
        self.0 == process
    }
}

/// Collects processes that have ended, orphans too, and returns their exit codes.
pub(crate) fn reap() -> Vec<(Pid, u8)> {
    let mut ended = Vec::new();
    let code = |code: i32| u8::try_from(code).unwrap_or(u8::MAX);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, exit)) => ended.push((pid, code(exit & 0xff))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                ended.push((pid, code(128 + signal as i32)));
            }
            // Ctrl-Z. Nobody would ever continue it: a command that leads its session does not stop.
            Ok(WaitStatus::Stopped(pid, Signal::SIGTSTP)) => _ = killpg(pid, Signal::SIGCONT),
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

/// Becomes the command; returns only when that fails, with a sentence and the exit code of shells
/// for it (POSIX, "Exit Status for Commands").
pub(crate) fn exec(program: Program) -> (String, u8) {
    let begun = if program.terminal && is_ours() {
        // Keys of the terminal are for the foreground: the command, and no longer the bridge.
        wait_for_size();
        setpgid(Pid::from_raw(0), Pid::from_raw(0))
            .and_then(|()| tcsetpgrp(io::stdin(), getpid()))
            .map_err(io::Error::from)
    } else {
        // A session of its own: no terminal but the one below, and a group for all its signals.
        _ = setsid();
        Ok(())
    };
    if let Err(error) = begun.and_then(|()| prepare(&program)) {
        return (error.to_string(), 126);
    }
    let (name, arguments) = match program.command.split_first() {
        Some(parts) => parts,
        None => return ("there is no command".into(), 127),
    };
    #[expect(clippy::disallowed_methods, reason = "to start the command is what this is for")]
    let error = Command::new(name).args(arguments).exec();
    let name = name.to_string_lossy().escape_debug().to_string();
    match error.kind() {
        io::ErrorKind::NotFound if name.contains('/') => {
            (format!("{name}: it, or the program that interprets it, is not in the sandbox"), 127)
        }
        io::ErrorKind::NotFound => (format!("{name}: not found on the PATH of the sandbox"), 127),
        _ => (format!("{name} cannot be executed: {error}"), 126),
    }
}

/// Makes standard input the controlling terminal of this session: the first one that its leader opens
/// becomes it. A command beside the leader can be stopped by a key, one that leads cannot, and a program
/// that stops itself would wait for ever (POSIX, orphaned process groups).
pub(crate) fn take_terminal() -> io::Result<()> {
    let terminal = OpenOptions::new().read(true).write(true).open("/proc/self/fd/0");
    let named = |error: io::Error| io::Error::new(error.kind(), format!("terminal: {error}"));
    terminal.map(drop).map_err(named)
}

/// Whether standard input is the controlling terminal of this session already, as engines make it for
/// their first process. A terminal cannot get another session while that one lives.
fn is_ours() -> bool {
    let session = getsid(None);
    session.is_ok() && tcgetsid(io::stdin()) == session
}

/// Waits until the terminal has a size: Docker gives it one after the container has started, and
/// programs that draw on a screen look at it once.
fn wait_for_size() {
    let unknown = || tcgetwinsize(io::stdin()).is_ok_and(|size| size.ws_col == 0);
    for _ in 0..SIZE_LOOKS {
        if !unknown() {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this is about the time that an engine takes"
        )]
        thread::sleep(SIZE_PAUSE);
    }
}

fn prepare(program: &Program) -> io::Result<()> {
    signals::release()?;
    if program.terminal {
        take_terminal()?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let hard = program.descriptors.map_or(hard, |limit| limit.min(hard));
    let soft = program.soft_descriptors.map_or(hard, |limit| limit.min(hard));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    if let Some(limit) = program.processes {
        let (_, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
        setrlimit(Resource::RLIMIT_NPROC, limit.min(hard), limit.min(hard))?;
    }
    Ok(())
}
