//! Threads that copy between the person's streams and those of a sandbox.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tokio::sync::oneshot;

use super::modes::Modes;

/// How much is read at once.
const SIZE: usize = 32 * 1024;

/// Ends threads that read from the person, who may never type another key.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<OwnedFd>);

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    /// Ends the threads; whoever asks later ends at once.
    pub(super) fn stop(&self) {
        _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// Copies until the source has ended or it is stopped.
pub(super) fn until_stopped(mut source: File, mut target: File, stop: Stop) -> io::Result<()> {
    spawn(move || {
        let mut buffer = vec![0; SIZE];
        loop {
            let events = PollFlags::IN;
            let mut both = [PollFd::new(&*stop.0, events), PollFd::new(&source, events)];
            match poll(&mut both, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            if !both[0].revents().is_empty() {
                return;
            }
            match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) if write(&mut target, &buffer[..length]).is_ok() => {}
                Err(error) if is_temporary(&error) => {}
                _ => return,
            }
        }
    })
}

/// Copies until the source has ended, and says so. Whoever does not want to see it any more keeps
/// nobody from saying it.
pub(super) fn to_the_end(
    source: impl Read + Send + 'static,
    target: File,
) -> io::Result<oneshot::Receiver<()>> {
    copy(source, target, Refusal::Ignored, None)
}

/// Copies to a person's screen until the source has ended, switches off what a program has left on in
/// it, and says so.
pub(super) fn to_a_screen(
    source: impl Read + Send + 'static,
    target: File,
) -> io::Result<oneshot::Receiver<()>> {
    copy(source, target, Refusal::Ignored, Some(Modes::default()))
}

/// Copies until the source has ended or the target takes no more, and says so. Whoever writes into
/// the source hears of that.
pub(super) fn while_taken(
    source: impl Read + Send + 'static,
    target: File,
) -> io::Result<oneshot::Receiver<()>> {
    copy(source, target, Refusal::PassedOn, None)
}

/// What becomes of a target that takes no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Ignored,
    PassedOn,
}

fn copy(
    mut source: impl Read + Send + 'static,
    mut target: File,
    refusal: Refusal,
    mut modes: Option<Modes>,
) -> io::Result<oneshot::Receiver<()>> {
    let (done, end) = oneshot::channel();
    spawn(move || {
        let mut buffer = vec![0; SIZE];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    if let Some(modes) = &mut modes {
                        modes.see(&buffer[..length]);
                    }
                    let written = write(&mut target, &buffer[..length]);
                    if written.is_err() && refusal == Refusal::PassedOn {
                        break;
                    }
                }
                Err(error) if is_temporary(&error) => {}
                // A terminal whose other end is closed fails instead of ending.
                Err(_) => break,
            }
        }
        drop(source);
        if let Some(modes) = modes {
            _ = write(&mut target, modes.undo().as_bytes());
        }
        _ = done.send(());
    })?;
    Ok(end)
}

/// Collects up to `limit` bytes, and reads the rest away.
pub(super) fn collect(
    mut source: impl Read + Send + 'static,
    limit: u64,
) -> io::Result<oneshot::Receiver<Vec<u8>>> {
    let (done, end) = oneshot::channel();
    spawn(move || {
        let mut collected = Vec::new();
        _ = source.by_ref().take(limit).read_to_end(&mut collected);
        _ = io::copy(&mut source, &mut io::sink());
        _ = done.send(collected);
    })?;
    Ok(end)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("moat-streams".into()).stack_size(128 * 1024).spawn(work)?;
    Ok(())
}

/// Writes everything, also to a stream that somebody has made non-blocking.
fn write(target: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(target, PollFlags::OUT)];
                _ = poll(&mut room, None);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
