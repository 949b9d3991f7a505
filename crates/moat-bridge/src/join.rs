//! Two streams joined: what comes from one goes to the other, both ways, ends included.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::epoll::EpollFlags;

/// How often one turn reads, so that a busy connection does not starve the others.
const TURNS: usize = 16;

/// A stream that can be ended in one direction.
pub(crate) trait Stream: Read + Write + AsFd + fmt::Debug {
    /// Says that nothing more will be written.
    fn end(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Two non-blocking streams joined.
#[derive(Debug)]
pub(crate) struct Join {
    left: Box<dyn Stream>,
    right: Box<dyn Stream>,
    rightward: Flow,
    leftward: Flow,
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// What was read and not taken yet: as long as there is some, nothing more is read.
    pending: Vec<u8>,
    written: usize,
    /// The source has ended.
    ended: bool,
    /// The target was told so, or takes nothing more.
    closed: bool,
}

impl Join {
    pub(crate) fn new(left: Box<dyn Stream>, right: Box<dyn Stream>) -> Self {
        Self { left, right, rightward: Flow::default(), leftward: Flow::default() }
    }

    /// Moves what can be moved; returns whether both directions are through.
    pub(crate) fn pump(&mut self, scratch: &mut [u8]) -> bool {
        self.rightward.pump(&mut *self.left, &mut *self.right, scratch);
        self.leftward.pump(&mut *self.right, &mut *self.left, scratch);
        self.rightward.closed && self.leftward.closed
    }

    /// Returns the descriptor of a side.
    pub(crate) fn descriptor(&self, side: Side) -> BorrowedFd<'_> {
        match side {
            Side::Left => self.left.as_fd(),
            Side::Right => self.right.as_fd(),
        }
    }

    /// Returns for which events of a side to wait.
    pub(crate) fn interest(&self, side: Side) -> EpollFlags {
        let (from_it, to_it) = match side {
            Side::Left => (&self.rightward, &self.leftward),
            Side::Right => (&self.leftward, &self.rightward),
        };
        let mut events = EpollFlags::empty();
        events.set(EpollFlags::EPOLLIN, !from_it.ended && from_it.pending.is_empty());
        events.set(EpollFlags::EPOLLOUT, !to_it.closed && !to_it.pending.is_empty());
        // The end of a stream is reported whether one asks or not, over and over again unless it
        // is to be reported once.
        events.set(EpollFlags::EPOLLET, events.is_empty());
        events
    }
}

impl Flow {
    fn pump(&mut self, source: &mut dyn Stream, target: &mut dyn Stream, scratch: &mut [u8]) {
        for _ in 0..TURNS {
            if self.closed || !self.flush(target) {
                return;
            }
            if self.ended {
                _ = target.end();
                self.closed = true;
                return;
            }
            match source.read(scratch) {
                Ok(0) => self.ended = true,
                Ok(length) => self.pending.extend_from_slice(&scratch[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that was reset has ended, too.
                Err(_) => self.ended = true,
            }
        }
    }

    /// Writes what is pending; returns whether nothing is left.
    fn flush(&mut self, target: &mut dyn Stream) -> bool {
        while self.written < self.pending.len() {
            match target.write(&self.pending[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It takes nothing more; what it still says may be an answer.
                Err(_) => {
                    self.ended = true;
                    self.closed = true;
                    break;
                }
            }
        }
        // An idle connection keeps no buffer.
        self.pending = Vec::new();
        self.written = 0;
        !self.closed
    }
}
