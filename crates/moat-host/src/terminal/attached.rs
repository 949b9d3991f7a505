//! Programs that have the person's terminal for themselves.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use moat_provider_core::Result;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg, raise};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use tokio::sync::oneshot;

use super::tty::{Tty, broken};
use crate::commands::not_started;

/// A program in the terminal's foreground. Dropping it kills the program, and returns when the
/// terminal is this process's again.
pub(super) struct Attached {
    group: Pid,
    thread: Option<JoinHandle<()>>,
    ended: oneshot::Receiver<io::Result<Option<i32>>>,
}

impl Attached {
    /// Starts a program in a process group of its own and makes that the terminal's foreground: so
    /// Ctrl-C reaches the program and not this process, and Ctrl-Z stops both.
    pub(super) fn start(mut command: Command, program: &str) -> Result<Self> {
        let tty = Tty::open()?;
        command.process_group(0);
        let (sender, started) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("moat-attached".to_owned()).spawn(move || {
            match Job::start(tty, command) {
                Err(error) => drop(sender.send(Err(error))),
                Ok(mut job) => {
                    // The receiver waits for this, and then perhaps for the end.
                    drop(sender.send(Ok(job.group)));
                    drop(end.send(job.wait()));
                }
            }
        });
        let thread = Some(thread.map_err(|error| broken(&error))?);
        let started = started.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        let group = started.map_err(|error| not_started(program, error))?;
        Ok(Self { group, thread, ended })
    }

    /// Waits for the program's end, and returns its code; `None` when a signal ended it.
    pub(super) async fn ended(mut self) -> Result<Option<i32>> {
        let ended = (&mut self.ended).await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        ended.map_err(|error| broken(&error))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if matches!(self.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            // Fails when it has just ended.
            let _ = killpg(self.group, Signal::SIGKILL);
        }
        let _ = thread.join();
    }
}

/// The program as a job of this process, in the manner of a shell.
struct Job {
    tty: Tty,
    own: Pid,
    group: Pid,
    before: Termios,
}

impl Job {
    fn start(tty: Tty, mut command: Command) -> io::Result<Self> {
        let before = tcgetattr(tty.input())?;
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).map_err(io::Error::other)?;
        let job = Self { tty, own: getpgrp(), group: Pid::from_raw(group), before };
        job.hand_over();
        // Who takes the terminal back is in the background at that moment, and would be stopped.
        // The thread ends with the job. Not earlier: the program would start with it blocked.
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTTOU);
        stop.thread_block()?;
        Ok(job)
    }

    /// Waits for the end, and follows the program when it is stopped.
    fn wait(&mut self) -> io::Result<Option<i32>> {
        loop {
            match waitpid(self.group, Some(WaitPidFlag::WUNTRACED)) {
                Err(Errno::EINTR) => {}
                Err(error) => {
                    self.take_back();
                    return Err(error.into());
                }
                Ok(WaitStatus::Exited(_, code)) => {
                    self.take_back();
                    return Ok(Some(code));
                }
                Ok(WaitStatus::Signaled(..)) => {
                    self.take_back();
                    return Ok(None);
                }
                Ok(WaitStatus::Stopped(_, signal)) => {
                    // It used the terminal before that was its own: it only has to go on.
                    let early = matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU);
                    if !(early && self.is_foreground()) {
                        self.take_back();
                        // Returns when the shell has resumed this process; at once where there is no
                        // shell. To this thread, not to the process group: until some other thread
                        // took it, this one would go on, and the program read what is meant for the
                        // shell. The rest of a pipeline stops at the next Ctrl-Z.
                        raise(Signal::SIGTSTP)?;
                    }
                    self.hand_over();
                }
                Ok(_) => {}
            }
        }
    }

    /// Whether the terminal is this process's or the program's to use.
    fn is_foreground(&self) -> bool {
        tcgetpgrp(self.tty.input()).is_ok_and(|group| group == self.own || group == self.group)
    }

    /// Gives the terminal to the program, if it is this process's, and lets it go on.
    fn hand_over(&self) {
        // All of these fail when the program has ended or the terminal is gone: `wait` sees that.
        if self.is_foreground() {
            let _ = tcsetpgrp(self.tty.input(), self.group);
        }
        let _ = killpg(self.group, Signal::SIGCONT);
    }

    fn take_back(&self) {
        if tcgetpgrp(self.tty.input()) == Ok(self.group) {
            let _ = tcsetpgrp(self.tty.input(), self.own);
            let _ = tcsetattr(self.tty.input(), SetArg::TCSADRAIN, &self.before);
        }
    }
}
