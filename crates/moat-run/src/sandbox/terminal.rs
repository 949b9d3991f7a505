//! A terminal of the sandbox's own, joined to the person's.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::pump::{self, Stop};

/// Whether the person sits in front of a terminal, for what they type and for what they see.
pub(super) fn is_here() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The host's end of a terminal that was opened and not yet joined.
#[derive(Debug)]
pub(super) struct Terminal {
    controller: OwnedFd,
    before: Termios,
}

impl Terminal {
    /// Opens a terminal like the person's, and returns the sandbox's end of it.
    pub(super) fn open() -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let user = open(&*name, flags, Mode::empty())?;
        let before = tcgetattr(io::stdin())?;
        tcsetattr(&user, OptionalActions::Now, &before)?;
        tcsetwinsize(&user, tcgetwinsize(io::stdin())?)?;
        Ok((Self { controller, before }, user))
    }

    /// Joins it to the person's, which is raw from now on.
    pub(super) fn join(self) -> io::Result<Joined> {
        let controller = File::from(self.controller);
        let raw = Raw::begin(self.before)?;
        let stop = Stop::new()?;
        let end = pump::to_a_screen(controller.try_clone()?, duplicate(&io::stdout())?)?;
        pump::until_stopped(duplicate(&io::stdin())?, controller.try_clone()?, stop.clone())?;
        let mut changed = signal(SignalKind::window_change())?;
        let resize = tokio::spawn(async move {
            loop {
                // The size may have changed between the opening and this.
                if let Ok(size) = tcgetwinsize(io::stdin()) {
                    _ = tcsetwinsize(&controller, size);
                }
                if changed.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(Joined { raw: Some(raw), stop, end: Some(end), resize })
    }
}

/// Two terminals joined; the person's is restored when this is dropped.
#[derive(Debug)]
pub(super) struct Joined {
    raw: Option<Raw>,
    stop: Stop,
    end: Option<oneshot::Receiver<()>>,
    resize: JoinHandle<()>,
}

impl Joined {
    /// Waits until everything has been shown, and restores the person's terminal.
    pub(super) async fn finish(&mut self) {
        self.stop.stop();
        if let Some(end) = &mut self.end {
            _ = end.await;
            self.end = None;
        }
        self.raw = None;
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.stop.stop();
        self.resize.abort();
    }
}

/// The person's terminal in raw mode: every key goes to the sandbox, Ctrl-C and Ctrl-Z too.
#[derive(Debug)]
struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    fn begin(before: Termios) -> io::Result<Self> {
        let raw = Self { terminal: duplicate(&io::stdin())?, before };
        let mut wanted = raw.before.clone();
        wanted.make_raw();
        tcsetattr(&raw.terminal, OptionalActions::Now, &wanted)?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Opens a second descriptor of a stream.
pub(super) fn duplicate(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}
