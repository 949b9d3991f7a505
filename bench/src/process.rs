//! The processes that are measured: started, asked for their port, read from `/proc`, ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How long a process may take until it serves.
const START: Duration = Duration::from_secs(60);
/// The kernel's unit of processor time in `/proc`, the same on every Linux that is built usually.
const TICKS_PER_SECOND: f64 = 100.0;
const KIB: u64 = 1024;

/// Seconds of processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// Of the server that is measured.
    pub(crate) server: f64,
    /// Of everybody: load generator, server and origin.
    pub(crate) all: f64,
}

/// Returns the seconds of processor time that this process has used.
pub(crate) fn own_cpu() -> f64 {
    ticks(std::process::id()) as f64 / TICKS_PER_SECOND
}

/// A server in a process of its own; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts this program once more, as one of its servers, and waits for the port that it prints.
    pub(crate) fn ours(arguments: &[impl AsRef<str>]) -> Result<Self> {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let mut command = command(&std::env::current_exe()?);
        command.arg("serve").args(&arguments);
        Self::serving(command, &arguments.join(" "))
    }

    /// Starts a command that is one of this program's servers, and waits for the port that it
    /// prints.
    pub(crate) fn serving(mut command: Command, what: &str) -> Result<Self> {
        // A server ends when the end of its standard input says that nobody measures any more.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Ok(port) = line.trim().parse() else {
            _ = child.kill();
            return Err(format!("`serve {what}` did not start").into());
        };
        Ok(Self { child, address: loopback(port) })
    }

    /// Starts another program, which is known to serve at a port, and waits until it does.
    pub(crate) fn other(mut command: Command, port: u16) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Self { child, address: loopback(port) };
        let started = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            if started.elapsed() > START || server.child.try_wait()?.is_some() {
                return Err(format!("{command:?} does not serve").into());
            }
            pause();
        }
        Ok(server)
    }

    /// Ends the server and waits for what it does at its end.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the seconds of processor time that the process and its children have used.
    pub(crate) fn cpu(&self) -> f64 {
        self.family().iter().map(|id| ticks(*id)).sum::<u64>() as f64 / TICKS_PER_SECOND
    }

    /// Returns the bytes of memory of their own that the process and its children have.
    pub(crate) fn memory(&self) -> u64 {
        self.family().iter().map(|id| anonymous(*id)).sum()
    }

    fn family(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(id).chain(children).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // nginx ends its workers only when it is asked politely.
            terminate(self.child.id());
            _ = self.child.wait();
        }
    }
}

/// Returns a command for a program that is measured.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts what it measures")]
pub(crate) fn command(program: &Path) -> Command {
    Command::new(program)
}

fn terminate(id: u32) {
    _ = command(Path::new("kill")).arg(id.to_string()).status();
}

#[expect(clippy::disallowed_methods, reason = "a program that is waited for gives no sign")]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

/// Finds a port for a program that does not say which one it got.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(loopback(0))?.local_addr()?.port())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Finds a program in the usual places.
pub(crate) fn find(name: &str) -> Option<std::path::PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/usr/sbin"]
        .into_iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may hold anything; user and system time are the 12th
    // and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn anonymous(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * KIB
}
