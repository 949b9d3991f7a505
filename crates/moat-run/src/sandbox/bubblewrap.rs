//! Bubblewrap: namespaces of Linux, without a daemon and without root.

mod arguments;

use std::ffi::OsString;
use std::io::{self, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use moat_provider_core::BoxFuture;
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use tokio::task::spawn_blocking;

use self::arguments::{Arguments, Facts, RunFiles};
use super::process::{self, Process};
use super::running::Heard;
use super::streams::{self, Prepared};
use super::{
    Missing, Running, Sandbox, Signal, WayKind, binds, detect, lookup, publish, seccomp, visit,
};
use crate::{ContainerSpec, Result, RunError, RunErrorKind, Stdio, Way};

/// Where distributions put it. The person's `PATH` is not asked: it may name a workspace.
const PLACES: [&str; 4] =
    ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap", "/run/current-system/sw/bin/bwrap"];

/// What this process passes on to the command.
const PASSED: [Signal; 4] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup, Signal::Quit];

/// The descriptor of the socket for visitors, which bubblewrap leaves to the bridge
/// (sd_listen_fds(3)).
const DOOR: i32 = 3;

/// The first descriptor that bubblewrap gets for itself.
const FIRST: i32 = 4;

/// Starts containers with [bubblewrap](https://github.com/containers/bubblewrap) 0.8 or newer.
///
/// What is in them: `/usr` and what belongs to it, an allow-list of `/etc`, fresh and bounded `/tmp`,
/// `/run`, `/var` and `/dev/shm`, the binds of the description, the run's socket, and nothing else.
/// No network but a loopback of its own, no capability, no system call of the list in
/// `docs/src/sandbox.md`, no descriptor but the standard streams.
#[derive(Clone, Debug)]
pub struct Bubblewrap {
    bridge: PathBuf,
    program: Option<PathBuf>,
    limits: Limits,
    home: Option<PathBuf>,
    path: Option<OsString>,
}

/// What a sandbox may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Processes and threads.
    pub processes: u64,
    /// Descriptors of each process.
    pub descriptors: u64,
    /// Bytes in `/tmp`, `/var` and, where no bind is the home, the home: each of them. They are in
    /// memory.
    pub scratch: u64,
    /// Bytes in `/dev/shm`.
    pub shared_memory: u64,
}

impl Default for Limits {
    /// 8192 processes, 65,536 descriptors, 4 GiB each, 1 GiB.
    fn default() -> Self {
        Self { processes: 8192, descriptors: 65_536, scratch: 4 << 30, shared_memory: 1 << 30 }
    }
}

impl Bubblewrap {
    /// Makes a sandbox whose first process is the program `moat-bridge` at this path.
    #[must_use]
    pub fn new(bridge: impl Into<PathBuf>) -> Self {
        Self {
            bridge: bridge.into(),
            program: None,
            limits: Limits::default(),
            home: None,
            path: None,
        }
    }

    /// Sets where bubblewrap is; without this it is looked for where distributions put it.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Sets what a container may use up.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the person's home directory, which no bind may show as a whole.
    #[must_use]
    pub fn person_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Sets the person's `PATH`, so that an error can say where a command is that is not in the
    /// sandbox. Nothing is started from it.
    #[must_use]
    pub fn person_path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    fn find(&self) -> Option<PathBuf> {
        match &self.program {
            Some(program) => program.is_file().then(|| program.clone()),
            None => PLACES.iter().map(PathBuf::from).find(|place| place.is_file()),
        }
    }

    /// Looks for what is missing; blocks.
    fn lacks(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        match self.find() {
            Some(program) => missing.extend(detect::namespaces(&program)),
            None => missing.push(Missing::new(
                "bubblewrap",
                "install the package bubblewrap, for example: apt-get install bubblewrap",
            )),
        }
        if !self.bridge.is_file() {
            missing.push(Missing::new(
                format!("moat-bridge at {}", self.bridge.display()),
                "install it next to moat: cargo install moat-bridge",
            ));
        }
        missing
    }

    /// Prepares the program; blocks.
    fn prepare(&self, spec: &ContainerSpec) -> Result<Ready> {
        let program = self.find().ok_or_else(|| {
            RunError::new(RunErrorKind::SandboxMissing, "bubblewrap is not installed")
                .with_hint("apt-get install bubblewrap")
        })?;
        let Way::Socket { path: socket, port } = &spec.way else {
            return Err(RunError::new(
                RunErrorKind::InvalidInput,
                "a container of bubblewrap has no network: it reaches the proxy by a socket",
            ));
        };
        if let Some(error) = lookup::only_on_the_host(spec, self.path.as_deref()) {
            return Err(error);
        }
        let binds = binds::checked(&spec.binds, self.home.as_deref())?;
        binds::make_mount_points(&binds)?;
        let filters = seccomp::filters()?;
        let mut command = command(&program);
        let (standard, streams) = streams::prepare(spec.stdio).map_err(io_failed)?;
        standard.give_to(&mut command);
        let publish = (!spec.publish.is_empty()).then(|| socket.with_file_name("publish.sock"));
        let publish = publish.map(absolute).transpose().map_err(io_failed)?;
        let facts = Facts::of_this_machine(self.limits.clone());
        // Bubblewrap is started in another directory than this process.
        let bridge = absolute(&self.bridge).map_err(io_failed)?;
        let socket = absolute(socket).map_err(io_failed)?;
        let run = RunFiles { bridge: &bridge, socket: &socket, publish: publish.as_deref() };
        let mut arguments = Arguments::new(spec, &facts, &binds, &run).map_err(io_failed)?;
        for filter in filters {
            arguments.data("--add-seccomp-fd", &filter).map_err(io_failed)?;
        }
        let (report, writer) = pipe().map_err(io_failed)?;
        arguments.descriptor("--json-status-fd", OwnedFd::from(writer));
        let door = visit::listen(&socket.with_file_name(visit::SOCKET)).map_err(io_failed)?;
        let bridge = bridge_arguments(spec, *port, publish.is_some(), &streams, &self.limits);
        pass(&mut command, arguments, door, bridge).map_err(io_failed)?;
        Ok(Ready { command, report, streams, publish })
    }
}

/// Everything that is needed to start.
struct Ready {
    command: Command,
    report: io::PipeReader,
    streams: Prepared,
    publish: Option<PathBuf>,
}

/// Returns a command without environment, in a process group of its own: keys of the person's
/// terminal are for this process, which passes them on.
fn command(program: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "to start this program is what this is for")]
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").process_group(0);
    command
}

/// What stands behind bubblewrap's own arguments, visible to whoever lists processes.
fn bridge_arguments(
    spec: &ContainerSpec,
    port: u16,
    publish: bool,
    streams: &Prepared,
    limits: &Limits,
) -> Vec<String> {
    let mut arguments = vec![
        super::BRIDGE.into(),
        "--listen".into(),
        format!("127.0.0.1:{port}"),
        "--socket".into(),
        super::PROXY_SOCKET.into(),
        "--nproc".into(),
        limits.processes.to_string(),
        "--nofile".into(),
        limits.descriptors.to_string(),
    ];
    arguments.push("--visits".into());
    if publish {
        arguments.extend(["--publish".into(), super::PUBLISH_SOCKET.into()]);
    }
    if streams.is_terminal() {
        arguments.push("--tty".into());
    }
    arguments.push("--".into());
    arguments.extend(spec.command.iter().cloned());
    arguments
}

/// Hands over arguments and descriptors.
fn pass(
    command: &mut Command,
    arguments: Arguments,
    door: OwnedFd,
    bridge: Vec<String>,
) -> io::Result<()> {
    let (mut text, descriptors) = (Vec::new(), arguments.descriptors);
    for argument in arguments.list {
        text.extend(argument.into_encoded_bytes());
        text.push(0);
    }
    let list = FIRST + i32::try_from(descriptors.len()).map_err(io::Error::other)?;
    let mut mappings = vec![FdMapping { parent_fd: door, child_fd: DOOR }];
    for (parent_fd, child_fd) in descriptors.into_iter().zip(FIRST..) {
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    mappings.push(FdMapping { parent_fd: in_memory(&text)?, child_fd: list });
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    command.args(["--args", &list.to_string(), "--"]).args(bridge);
    Ok(())
}

/// Returns a file that exists in memory only.
fn in_memory(contents: &[u8]) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("moat", MemfdFlags::CLOEXEC)?);
    file.write_all(contents)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}

impl Sandbox for Bubblewrap {
    fn name(&self) -> &'static str {
        "bubblewrap"
    }

    fn way(&self) -> WayKind {
        WayKind::Socket
    }

    fn missing(&self) -> BoxFuture<'_, Vec<Missing>> {
        let this = self.clone();
        Box::pin(async move {
            let lost = |_| vec![Missing::new("bubblewrap", "the check of it was given up")];
            spawn_blocking(move || this.lacks()).await.unwrap_or_else(lost)
        })
    }

    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Running>> {
        Box::pin(start(self.clone(), spec.clone()))
    }
}

async fn start(sandbox: Bubblewrap, spec: ContainerSpec) -> Result<Running> {
    let (stdio, ports) = (spec.stdio, spec.publish.clone());
    let ready = spawn_blocking(move || sandbox.prepare(&spec)).await.map_err(io::Error::other);
    let Ready { command, report, streams, publish } = ready.map_err(io_failed)??;
    let publish = match publish {
        Some(socket) => Some(publish::serve(&socket, &ports).await?.0),
        None => None,
    };
    let heard = match stdio {
        Stdio::Inherit => Some(Heard::of(&PASSED).map_err(io_failed)?),
        Stdio::Captured => None,
    };
    let process: Process = process::start(command, Some(report)).await.map_err(io_failed)?;
    let mut running = Running::new(process);
    if let Some(task) = publish {
        running = running.task(task);
    }
    running = running.streams(streams.begin().map_err(io_failed)?);
    if let Some(heard) = heard {
        running = running.pass_signals(heard);
    }
    Ok(running)
}

fn io_failed(error: io::Error) -> RunError {
    RunError::new(RunErrorKind::SandboxFailed, format!("the sandbox did not start: {error}"))
        .with_source(error)
}
