//! Further commands in the sandbox, which a program of the host asks for: its shells.
//!
//! The host gave the bridge a socket that listens, and that nothing in the sandbox can reach. Who
//! connects sends the three standard streams of a command along with its words; when the command
//! has ended, its exit code comes back as one byte. Whoever goes away hangs up on the command.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::args::Program;
use crate::command::{Child, Streams};

/// The descriptor of the socket (sd_listen_fds(3): the first behind the standard streams).
pub(crate) const DESCRIPTOR: i32 = 3;

/// Variables by which the socket is handed over; they are nothing to the command.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The most bytes of a request.
const MAX_REQUEST: u32 = 1 << 20;

/// How long a request may take to arrive: whoever connects sends it at once.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Lets the next visitor in, and starts what they ask for; `None` when nobody waits.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors or processes, or a request is not understood.
    pub(crate) fn next(&self, like: &Program, soft: u64) -> io::Result<Option<Visit>> {
        match self.0.accept() {
            Ok((stream, _)) => Visit::begin(stream, like, soft).map(Some),
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

/// A command that somebody outside asked for.
#[derive(Debug)]
pub(crate) struct Visit {
    stream: UnixStream,
    child: Child,
}

impl Visit {
    fn begin(mut stream: UnixStream, like: &Program, soft: u64) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let (streams, words) = request(&mut stream)?;
        stream.set_nonblocking(true)?;
        let mut words = words.into_iter();
        let terminal = words.next().is_some_and(|first| first == "terminal");
        let command: Vec<_> = words.collect();
        if command.is_empty() {
            return Err(misunderstood());
        }
        let program = Program { terminal, command, ..like.clone() };
        let child = Child::spawn(&program, soft, Some(streams))?;
        Ok(Self { stream, child })
    }

    /// Whether this process is its command.
    pub(crate) fn is(&self, process: Pid) -> bool {
        self.child.is(process)
    }

    /// Tells the visitor the exit code.
    pub(crate) fn ended(mut self, code: u8) {
        _ = self.stream.write_all(&[code]);
    }

    /// Whether the visitor has gone away, who says nothing more.
    pub(crate) fn is_left(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    /// Hangs up on the command.
    pub(crate) fn hang_up(&self) {
        self.child.signal(Signal::SIGHUP);
    }
}

impl AsFd for Visit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Reads three descriptors, and as many bytes as the first four say: words, each with a NUL behind
/// it.
fn request(stream: &mut UnixStream) -> io::Result<(Streams, Vec<OsString>)> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(
        &*stream,
        &mut [IoSliceMut::new(&mut length)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut streams: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            streams.extend(descriptors);
        }
    }
    stream.read_exact(&mut length[read.bytes..])?;
    let length = u32::from_be_bytes(length);
    let (Ok(streams), 1..=MAX_REQUEST) = (<[OwnedFd; 3]>::try_from(streams), length) else {
        return Err(misunderstood());
    };
    let mut text = Vec::new();
    stream.take(length.into()).read_to_end(&mut text)?;
    let words = text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let mut words: Vec<_> = words.collect();
    // Behind the last NUL there is nothing.
    words.pop();
    let [stdin, stdout, stderr] = streams;
    Ok((Streams { stdin, stdout, stderr }, words))
}

fn misunderstood() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a request for a command is not understood")
}
