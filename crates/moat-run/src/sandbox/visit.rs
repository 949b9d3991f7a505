//! Further commands in a sandbox that runs: the host's side of what the bridge does with `--visits`.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::task::spawn_blocking;

use super::streams::{self, Prepared, Standard};
use crate::{Result, RunError, RunErrorKind, Stdio};

/// The name of the socket beside that of the run.
pub(crate) const SOCKET: &str = "visits.sock";

/// Listens for visitors; the bridge is given what this returns.
pub(super) fn listen(socket: &Path) -> io::Result<OwnedFd> {
    // That of a container before this one leads nowhere any more.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener.into())
}

/// Starts a further command in a sandbox that runs, at this socket of
/// [`RunMetadata::visits`](crate::RunMetadata::visits), and waits for its end. It has the variables,
/// the directory and the limits of the run's own command, and a terminal of its own when this
/// process has one. It ends with the sandbox.
///
/// Returns its exit code; 128 and the number of the signal when one ended it.
///
/// # Errors
///
/// [`RunErrorKind::NotFound`] when nothing runs there, and [`RunErrorKind::SandboxFailed`] when the
/// sandbox ends before the command does.
pub async fn visit(socket: &Path, command: &[String]) -> Result<i32> {
    let failed = |error: io::Error| {
        RunError::new(RunErrorKind::SandboxFailed, "the command cannot be started in the sandbox")
            .with_source(error)
    };
    let stream = UnixStream::connect(socket).map_err(|error| {
        RunError::new(RunErrorKind::NotFound, "the sandbox does not run, or takes no visitors")
            .with_hint("moat runs")
            .with_source(error)
    })?;
    let (standard, prepared) = streams::prepare(Stdio::Inherit).map_err(failed)?;
    ask(&stream, &standard, &prepared, command).map_err(failed)?;
    // From here on the sandbox alone has its ends.
    drop(standard);
    let mut streams = prepared.begin().map_err(failed)?;
    let code = spawn_blocking(move || {
        let mut code = [0];
        (&stream).read_exact(&mut code).map(|()| code[0])
    });
    let code = code.await.map_err(io::Error::other).and_then(|code| code);
    streams.finish().await;
    code.map(i32::from).map_err(|_| {
        RunError::new(RunErrorKind::SandboxFailed, "the sandbox ended before the command did")
    })
}

/// Sends descriptors and words.
fn ask(
    mut stream: &UnixStream,
    standard: &Standard,
    prepared: &Prepared,
    command: &[String],
) -> io::Result<()> {
    let kind = if prepared.is_terminal() { "terminal" } else { "streams" };
    let mut text = Vec::new();
    for word in std::iter::once(kind).chain(command.iter().map(String::as_str)) {
        text.extend(word.as_bytes());
        text.push(0);
    }
    let length = u32::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes();
    let descriptors = [&standard.stdin, &standard.stdout, &standard.stderr].map(AsFd::as_fd);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(stream, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL)?;
    stream.write_all(&length[sent..])?;
    stream.write_all(&text)
}
