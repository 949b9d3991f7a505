//! A program that runs to its end, and what it prints.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use moat_provider_core::{CommandOutput, CommandSpec, Error, ErrorKind, Result, escape_line};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use zeroize::Zeroizing;

use super::{SystemCommands, not_started};
use crate::bounded::{Buffer, MAX_TEXT};

/// How much of standard error is kept.
const MAX_STDERR: usize = 64 * 1024;
/// How long pipes are read after the program has ended, when a child of its own holds them open.
const GRACE: Duration = Duration::from_millis(200);

pub(super) async fn run(commands: &SystemCommands, spec: &CommandSpec) -> Result<CommandOutput> {
    let mut command = Command::from(commands.prepare(spec, &[])?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn().map_err(|error| not_started(spec.program(), error))?;
    let program = escape_line(spec.program());
    let collected = tokio::time::timeout(spec.time_limit(), Group::new(child).collect()).await;
    let printed = match collected {
        Err(_) => {
            let limit = spec.time_limit().as_secs_f64();
            let message = format!("{program} did not end within {limit} seconds");
            return Err(Error::new(ErrorKind::TimedOut, message)
                .with_hint(format!("try it by hand: {program} may be waiting for an answer")));
        }
        Ok(Err(error)) => {
            return Err(Error::new(ErrorKind::Io, format!("{program} cannot be read from"))
                .with_hint("try again")
                .with_source(error));
        }
        Ok(Ok(printed)) => printed,
    };
    let odd = |what| {
        Error::new(ErrorKind::UnexpectedAnswer, format!("{program} printed {what}"))
            .with_hint(format!("try it by hand, or install another version of {program}"))
    };
    if printed.stdout.is_too_long() {
        return Err(odd("more than 1 MiB"));
    }
    let stdout = printed.stdout.into_secret().map_err(|_| odd("what is not UTF-8 text"))?;
    Ok(CommandOutput::new(printed.code, stdout, printed.stderr.into_secret_lossy()))
}

/// A process and those that it started, as far as they stay in its process group.
struct Group {
    child: Child,
    /// The group's id, until the process has been waited for: then the id may be another's.
    id: Option<Pid>,
}

struct Printed {
    code: Option<i32>,
    stdout: Buffer,
    stderr: Buffer,
}

impl Group {
    fn new(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Self { child, id }
    }

    async fn collect(mut self) -> io::Result<Printed> {
        let mut out = self.child.stdout.take();
        let mut err = self.child.stderr.take();
        let (mut stdout, mut stderr) = (Buffer::new(MAX_TEXT), Buffer::new(MAX_STDERR));
        let mut status: Option<ExitStatus> = None;
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        loop {
            if let (Some(status), None, None) = (status, &out, &err) {
                return Ok(Printed { code: status.code(), stdout, stderr });
            }
            tokio::select! {
                read = read(&mut out, &mut stdout), if out.is_some() => {
                    if read? == 0 {
                        out = None;
                    }
                    if stdout.is_too_long() {
                        return Ok(Printed { code: None, stdout, stderr });
                    }
                }
                read = read_or_discard(&mut err, &mut stderr), if err.is_some() => {
                    if read? == 0 {
                        err = None;
                    }
                }
                ended = self.child.wait(), if status.is_none() => {
                    status = Some(ended?);
                    self.id = None;
                    grace.as_mut().reset(tokio::time::Instant::now() + GRACE);
                }
                () = &mut grace, if status.is_some() => (out, err) = (None, None),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Fails when all of them have ended.
            let _ = killpg(id, Signal::SIGKILL);
        }
    }
}

async fn read(pipe: &mut Option<ChildStdout>, buffer: &mut Buffer) -> io::Result<usize> {
    match pipe {
        Some(pipe) => buffer.read_from(pipe).await,
        None => Ok(0),
    }
}

/// Reads on when the buffer is full, so that the program is not held up.
async fn read_or_discard(pipe: &mut Option<ChildStderr>, buffer: &mut Buffer) -> io::Result<usize> {
    match pipe {
        Some(pipe) if buffer.is_too_long() => discard(pipe).await,
        Some(pipe) => buffer.read_from(pipe).await,
        None => Ok(0),
    }
}

async fn discard(pipe: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    let mut scrap = Zeroizing::new([0; 1024]);
    pipe.read(&mut *scrap).await
}
