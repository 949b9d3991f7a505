//! Further commands in the sandbox, which a program of the host asks for: its shells.
//!
//! The host gave the bridge a socket that listens, and that nothing in the sandbox can reach. Who
//! connects sends the three standard streams of a command along with its words; when the command
//! has ended, its exit code comes back as one byte. Whoever goes away hangs up on the command. A
//! request is read as it comes: who stalls holds up nobody else, and is waited for.

mod request;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use listenfd::ListenFd;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};

use self::request::Request;
use crate::args::Program;
use crate::command::Child;

/// The descriptor of the socket (sd_listen_fds(3): the first behind the standard streams).
pub(crate) const DESCRIPTOR: i32 = 3;

/// Variables by which the socket is handed over; they are nothing to the command.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The socket at which visits are asked for.
#[derive(Debug)]
pub(crate) struct Door(UnixListener);

impl Door {
    /// Takes the socket over.
    pub(crate) fn inherited() -> io::Result<Self> {
        let socket = ListenFd::from_env().take_unix_listener(0)?;
        let socket = socket.ok_or_else(|| io::Error::other("--visits came without a socket"))?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Lets the next visitor in; `None` when nobody waits.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors.
    pub(crate) fn next(&self) -> io::Result<Option<Visit>> {
        match self.0.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(Visit { stream, stage: Stage::Asks(Request::default()) }))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A command that somebody outside asks for.
#[derive(Debug)]
pub(crate) struct Visit {
    stream: UnixStream,
    stage: Stage,
}

/// How far a visit is.
#[derive(Debug)]
enum Stage {
    /// The request is on its way.
    Asks(Request),
    /// The command has started.
    Runs(Child),
}

impl Visit {
    /// Reads what the visitor has sent, and starts the command once that is known.
    ///
    /// # Errors
    ///
    /// When the visitor has gone away, the request is not understood, or the system has no more
    /// processes.
    pub(crate) fn hear(&mut self, like: &Program, soft: u64) -> io::Result<()> {
        match &mut self.stage {
            Stage::Asks(request) => {
                if let Some((streams, words)) = request.read(&self.stream)? {
                    let child = Child::spawn(&program(words, like)?, soft, Some(streams))?;
                    self.stage = Stage::Runs(child);
                }
                Ok(())
            }
            // A visitor who was heard says nothing more.
            Stage::Runs(_) => match self.stream.read(&mut [0]) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether this process is its command.
    pub(crate) fn is(&self, process: Pid) -> bool {
        matches!(&self.stage, Stage::Runs(child) if child.is(process))
    }

    /// Tells the visitor the exit code.
    pub(crate) fn ended(mut self, code: u8) {
        _ = self.stream.write_all(&[code]);
    }

    /// Hangs up on the command, if there is one.
    pub(crate) fn hang_up(&self) {
        if let Stage::Runs(child) = &self.stage {
            child.signal(Signal::SIGHUP);
        }
    }
}

impl AsFd for Visit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Returns what was asked for, with the limits of the run's own command.
fn program(words: Vec<OsString>, like: &Program) -> io::Result<Program> {
    let mut words = words.into_iter();
    let terminal = words.next().is_some_and(|first| first == "terminal");
    let command: Vec<_> = words.collect();
    if command.is_empty() {
        return Err(misunderstood());
    }
    Ok(Program { terminal, command, ..like.clone() })
}

fn misunderstood() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a request for a command is not understood")
}
