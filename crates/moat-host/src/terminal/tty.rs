//! The terminal of this process: its modes, and what is typed.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::{self, JoinHandle};

use moat_provider_core::{Error, ErrorKind, Result, Secret};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, read, tcgetpgrp};
use tokio::sync::oneshot;

use super::ending::{EndingSignals, Held};
use super::line::{Echo, Line, Step};

/// Makes terminals mark what is pasted (xterm's private mode 2004), and not any more.
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";

/// Whether the terminal understands escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    Dumb,
    Ansi,
}

/// The terminal at which a person sits.
#[derive(Debug)]
pub(super) struct Tty {
    input: OwnedFd,
    output: File,
}

impl Tty {
    /// Opens the terminal on standard input, if this process may use it.
    pub(super) fn open() -> Result<Self> {
        let nobody = |why: &'static str| Error::new(ErrorKind::NotInteractive, why);
        let elsewhere =
            "pass the value by standard input (--token-stdin), by a flag or by the environment";
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            let error = nobody("there is nobody to ask: standard input is not a terminal");
            return Err(error.with_hint(elsewhere));
        }
        let output = OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NOCTTY | OFlag::O_CLOEXEC).bits())
            .open("/dev/tty");
        // Fails where the terminal on standard input is that of another session.
        let (Ok(output), Ok(group)) = (output, tcgetpgrp(&stdin)) else {
            let error = nobody("there is nobody to ask: this process has no terminal of its own");
            return Err(error.with_hint(elsewhere));
        };
        if group != getpgrp() {
            // To go on would stop this process, or end in an error of the terminal.
            return Err(nobody("there is nobody to ask: this process runs in the background")
                .with_hint("bring it to the foreground (fg), or pass the value by --token-stdin"));
        }
        let input = stdin.as_fd().try_clone_to_owned().map_err(|error| broken(&error))?;
        Ok(Self { input, output })
    }

    pub(super) fn input(&self) -> &OwnedFd {
        &self.input
    }

    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }

    /// Asks a question and reads the answer, until one of these is readable or closed.
    fn ask(
        mut self,
        prompt: &str,
        echo: Echo,
        capability: Capability,
        cancel: &[BorrowedFd<'_>],
    ) -> Result<Secret> {
        let modes = Modes::change(&mut self, echo, capability)?;
        modes.tty.show(prompt).map_err(|error| broken(&error))?;
        let mut line = Line::new(echo);
        loop {
            let Some(byte) = modes.tty.next_byte(cancel).map_err(|error| broken(&error))? else {
                return Err(cancelled());
            };
            let mut shown = String::new();
            let step = line.feed(byte, &mut shown);
            if step != Step::More {
                shown.push('\n');
            }
            modes.tty.show(&shown).map_err(|error| broken(&error))?;
            match step {
                Step::More => {}
                Step::Done => return line.finish(),
                Step::Cancelled => return Err(cancelled()),
            }
        }
    }

    /// Waits for a byte; `None` at the end of input, and when nobody wants it any more. One at a
    /// time: what comes behind the line is for the next question.
    fn next_byte(&self, cancel: &[BorrowedFd<'_>]) -> io::Result<Option<u8>> {
        let watched = std::iter::once(self.input.as_fd()).chain(cancel.iter().copied());
        let mut ready: Vec<_> = watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        loop {
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            if ready[1..].iter().any(|fd| fd.any() != Some(false)) {
                return Ok(None);
            }
            let mut byte = [0];
            return match read(&self.input, &mut byte) {
                Ok(0) => Ok(None),
                Ok(_) => Ok(Some(byte[0])),
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                // The terminal is gone.
                Err(Errno::EIO) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// The terminal in the modes of a question; the former ones come back when it is dropped, also in a
/// panic.
struct Modes<'a> {
    tty: &'a mut Tty,
    before: Termios,
    echo: Echo,
    capability: Capability,
}

impl<'a> Modes<'a> {
    fn change(tty: &'a mut Tty, echo: Echo, capability: Capability) -> Result<Self> {
        let before = tcgetattr(&tty.input).map_err(|error| broken(&error.into()))?;
        let mut modes = before.clone();
        // Byte by byte: a line that the kernel edits ends at 4,095 bytes, which some tokens exceed.
        // Ctrl-C is a byte, too, so that it cannot end the process while nothing is echoed.
        modes.local_flags &= !(LocalFlags::ECHO
            | LocalFlags::ECHONL
            | LocalFlags::ICANON
            | LocalFlags::ISIG
            | LocalFlags::IEXTEN);
        modes.input_flags &= !(InputFlags::IXON | InputFlags::ISTRIP);
        modes.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        modes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&tty.input, SetArg::TCSADRAIN, &modes).map_err(|error| broken(&error.into()))?;
        let changed = Self { tty, before, echo, capability };
        if capability == Capability::Ansi {
            changed.tty.show(PASTE_ON).map_err(|error| broken(&error))?;
        }
        Ok(changed)
    }
}

impl Drop for Modes<'_> {
    fn drop(&mut self) {
        if self.capability == Capability::Ansi {
            // Fails when the terminal is gone.
            let _ = self.tty.show(PASTE_OFF);
        }
        let when = match self.echo {
            Echo::Shown => SetArg::TCSADRAIN,
            // The rest of a secret that was pasted in several lines is not for the shell to run.
            Echo::Hidden => SetArg::TCSAFLUSH,
        };
        let _ = tcsetattr(&self.tty.input, when, &self.before);
    }
}

/// A question that waits for its answer on a thread. Dropping it takes the question back, and
/// returns when the terminal has its former modes.
pub(super) struct Question {
    cancel: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    answer: oneshot::Receiver<Result<Secret>>,
}

impl Question {
    pub(super) fn ask(
        prompt: String,
        echo: Echo,
        capability: Capability,
        signals: Option<&EndingSignals>,
    ) -> Result<Self> {
        let tty = Tty::open()?;
        let (reader, writer) = io::pipe().map_err(|error| broken(&error))?;
        let held = signals.map(EndingSignals::hold).transpose().map_err(|error| broken(&error))?;
        let (sender, answer) = oneshot::channel();
        let thread = thread::Builder::new().name("moat-terminal".to_owned()).spawn(move || {
            let wake = held.as_ref().map(Held::wake);
            let cancel: Vec<_> = std::iter::once(reader.as_fd()).chain(wake).collect();
            let answer = tty.ask(&prompt, echo, capability, &cancel);
            // Ends the process where a signal has come.
            drop(held);
            // Nobody listens any more when the question was taken back.
            let _ = sender.send(answer);
        });
        let thread = thread.map_err(|error| broken(&error))?;
        Ok(Self { cancel: Some(writer), thread: Some(thread), answer })
    }

    pub(super) async fn answer(mut self) -> Result<Secret> {
        (&mut self.answer).await.unwrap_or_else(|_| Err(broken(&io::ErrorKind::Other.into())))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.cancel = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed, and its modes taken back.
            let _ = thread.join();
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the question was cancelled")
        .with_hint("run the command again to answer it")
}

pub(super) fn broken(error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the terminal does not work: {}", error.kind()))
        .with_hint("pass the value by standard input (--token-stdin)")
}
