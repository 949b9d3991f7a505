//! Container engines: Docker and Podman, by their command lines.

mod arguments;
mod daemon;
mod elf;
mod files;
mod remote;
mod visit;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as ProcessStdio};
use std::sync::Arc;

use moat_provider_core::{BoxFuture, RunId};
use rustix::process::{Resource, getrlimit};
use tokio::task::spawn_blocking;

use self::arguments::Container;
use self::daemon::Ids;
use self::elf::is_static;
use self::files::Files;
use self::remote::Client;
use super::running::Heard;
use super::{Limits, Missing, Running, Sandbox, Signal, WayKind};
use super::{binds, process, publish, streams, terminal};
use crate::{ContainerSpec, Result, RunError, RunErrorKind, Stdio, Way};

/// Where programs of the system are.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];

/// What this process passes on to the command.
const PASSED: [Signal; 4] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup, Signal::Quit];

/// The exit code of engines that did not get as far as the command.
const REFUSED: i32 = 125;

/// Which engine.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl EngineKind {
    /// Returns the name of its program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// Returns the name that the container of a run has.
    #[must_use]
    pub fn container(self, run: &RunId) -> String {
        format!("moat-{run}")
    }
}

/// Starts containers of an image with Docker or Podman, without a network: the run's socket is the
/// only way out. The image has to be there: none is pulled.
///
/// The image brings all programs; the bridge is mounted into it, and so must be linked statically.
/// The person's terminal is given to the engine's own client, which makes another one for the
/// container.
#[derive(Clone, Debug)]
pub struct Engine {
    kind: EngineKind,
    image: String,
    bridge: PathBuf,
    program: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    options: Vec<String>,
    run_options: Vec<String>,
    limits: Limits,
    home: Option<PathBuf>,
}

impl Engine {
    /// Makes a sandbox of this image, whose first process is the program `moat-bridge` at this
    /// path of the host.
    #[must_use]
    pub fn new(kind: EngineKind, image: impl Into<String>, bridge: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            image: image.into(),
            bridge: bridge.into(),
            program: None,
            variables: Vec::new(),
            options: Vec::new(),
            run_options: Vec::new(),
            limits: Limits::default(),
            home: None,
        }
    }

    /// Sets where the engine's program is; without this it is looked for where distributions put
    /// it.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds a variable of the engine's own program, which has none but these: `HOME`, `PATH`,
    /// `XDG_RUNTIME_DIR`, `DOCKER_HOST`, `CONTAINERS_CONF`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Adds an option of the engine, in front of its command: `--cgroup-manager=cgroupfs`.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Adds an option of its command `run`.
    #[must_use]
    pub fn run_option(mut self, option: impl Into<String>) -> Self {
        self.run_options.push(option.into());
        self
    }

    /// Sets what a container may use up; `scratch` bounds `/tmp` and `/var/tmp`.
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

    fn find(&self) -> Option<PathBuf> {
        let places = PLACES.iter().map(|place| Path::new(place).join(self.kind.as_str()));
        match &self.program {
            Some(program) => Some(program.clone()),
            None => places.into_iter().find(|place| place.is_file()),
        }
    }

    /// Returns what is missing when its program is nowhere.
    fn absent(&self) -> Missing {
        let fix = match self.kind {
            EngineKind::Docker => {
                "install the package docker.io, for example: apt-get install docker.io"
            }
            EngineKind::Podman => "install the package podman, for example: apt-get install podman",
        };
        Missing::new(self.kind.as_str(), fix)
    }

    /// Returns the engine's program with its own options.
    fn command(&self, program: &Path) -> Command {
        #[expect(clippy::disallowed_methods, reason = "to start this program is what this is for")]
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables.iter().cloned());
        command.current_dir("/").args(&self.options);
        command
    }

    /// Asks the engine something, and returns what it answers; blocks.
    fn ask(&self, program: &Path, words: &[&str]) -> std::result::Result<String, Missing> {
        let mut command = self.command(program);
        let output = command.args(words).stdin(ProcessStdio::null()).output();
        let said = match output {
            Ok(output) if output.status.success() => {
                return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        Err(daemon::missing(self.kind, &said))
    }

    /// Learns whose ids containers have; blocks.
    fn ids(&self, program: &Path) -> Result<Ids> {
        if self.kind == EngineKind::Podman {
            return Ok(Ids::of_podman(rustix::process::getuid().as_raw()));
        }
        let options = self.ask(program, &["info", "--format", "{{json .SecurityOptions}}"]);
        options.map(|options| Ids::of_docker(&options)).map_err(|missing| self.lacks_one(&missing))
    }

    fn lacks_one(&self, missing: &Missing) -> RunError {
        let name = self.kind.as_str();
        let message = format!("{name} does not work here: {} is missing", missing.what());
        RunError::new(RunErrorKind::SandboxMissing, message).with_hint(missing.fix().to_owned())
    }

    /// Looks for what is missing; blocks.
    fn lacks(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        match self.find() {
            Some(program) => {
                let format = match self.kind {
                    EngineKind::Docker => "{{.Server.Version}}",
                    EngineKind::Podman => "{{.Client.Version}}",
                };
                let image = ["image", "inspect", "--format", "{{.Id}}", "--", &self.image];
                if let Err(why) = self.ask(&program, &["version", "--format", format]) {
                    missing.push(why);
                } else if self.ask(&program, &image).is_err() {
                    let (name, image) = (self.kind.as_str(), &self.image);
                    missing.push(Missing::new(
                        format!("the image {image}"),
                        format!("{name} pull {image}"),
                    ));
                }
            }
            None => missing.push(self.absent()),
        }
        match is_static(&self.bridge) {
            Ok(true) => {}
            Ok(false) => missing.push(Missing::new(
                format!(
                    "a moat-bridge that runs in other images than this system ({})",
                    self.bridge.display()
                ),
                format!(
                    "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo install moat-bridge \
                     --target {}-unknown-linux-gnu, then: export \
                     MOAT_BRIDGE=~/.cargo/bin/moat-bridge",
                    std::env::consts::ARCH
                ),
            )),
            Err(error) => missing.push(Missing::new(
                format!("moat-bridge at {} ({error})", self.bridge.display()),
                "install it next to moat: cargo install moat-bridge",
            )),
        }
        missing
    }

    /// Prepares the client; blocks.
    fn prepare(&self, spec: &ContainerSpec) -> Result<Ready> {
        let name = self.kind.as_str();
        let program = self.find().ok_or_else(|| self.lacks_one(&self.absent()))?;
        let Way::Socket { path: socket, .. } = &spec.way else {
            return Err(RunError::new(
                RunErrorKind::InvalidInput,
                format!("a container of {name} has no network: it reaches the proxy by a socket"),
            ));
        };
        let binds = binds::checked(&spec.binds, self.home.as_deref())?;
        let publish = socket.with_file_name("publish.sock");
        let files = Files::beside(socket);
        let user = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let ids = self.ids(&program)?;
        let made = files.users(ids, user, spec).map_err(io_failed)?;
        let is_inherited = spec.stdio == Stdio::Inherit && terminal::is_here();
        let container = Container {
            kind: self.kind,
            image: &self.image,
            bridge: &self.bridge,
            environment: &files.environment(),
            made: &made,
            publish: &publish,
            binds: &binds,
            limits: &self.limits,
            options: &self.run_options,
            user,
            ids,
            terminal: is_inherited,
            ulimits: possible(&self.limits),
        };
        let arguments = container.arguments(spec)?;
        files.write_environment(&container.environment(spec)).map_err(io_failed)?;
        let mut command = self.command(&program);
        command.args(arguments);
        let streams = give_streams(&mut command, spec.stdio, is_inherited).map_err(io_failed)?;
        let container = container.name(spec);
        Ok(Ready { command, streams, publish, program, container })
    }
}

/// Gives the engine's client its streams, unless it has the person's terminal: then that is its own,
/// as it makes another one for the container.
fn give_streams(
    command: &mut Command,
    stdio: Stdio,
    is_inherited: bool,
) -> io::Result<Option<streams::Prepared>> {
    if is_inherited {
        return Ok(None);
    }
    // Keys of the person's terminal are for this process, which passes them on.
    command.process_group(0);
    let (standard, prepared) = streams::prepare(stdio)?;
    standard.give_to(command);
    Ok(Some(prepared))
}

/// Returns what of these limits this user may give, by the engines' names.
fn possible(limits: &Limits) -> [(&'static str, u64); 2] {
    let most = |which, wanted| getrlimit(which).maximum.map_or(wanted, |own| own.min(wanted));
    [
        ("nofile", most(Resource::Nofile, limits.descriptors)),
        ("nproc", most(Resource::Nproc, limits.processes)),
    ]
}

struct Ready {
    command: Command,
    streams: Option<streams::Prepared>,
    publish: PathBuf,
    program: PathBuf,
    container: String,
}

impl Sandbox for Engine {
    fn name(&self) -> &'static str {
        self.kind.as_str()
    }

    fn way(&self) -> WayKind {
        WayKind::Socket
    }

    fn missing(&self) -> BoxFuture<'_, Vec<Missing>> {
        let this = self.clone();
        Box::pin(async move {
            let lost = |_| vec![Missing::new("the engine", "the check of it was given up")];
            spawn_blocking(move || this.lacks()).await.unwrap_or_else(lost)
        })
    }

    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Running>> {
        Box::pin(start(self.clone(), spec.clone()))
    }
}

async fn start(engine: Engine, spec: ContainerSpec) -> Result<Running> {
    let (stdio, ports) = (spec.stdio, spec.publish.clone());
    let preparing = engine.clone();
    let ready = spawn_blocking(move || preparing.prepare(&spec)).await.map_err(io::Error::other);
    let Ready { command, streams, publish, program, container } = ready.map_err(io_failed)??;
    // The container outlives its client: this connection is how the bridge sees the host's end.
    let (task, arrived) = publish::serve(&publish, &ports).await?;
    let heard = match stdio {
        Stdio::Inherit => Heard::of(&PASSED),
        Stdio::Captured => Heard::of(&[]),
    };
    let heard = heard.map_err(io_failed)?;
    let process = process::start(command, None).await.map_err(io_failed)?;
    let client = Client { engine, program, container, arrived: Arc::clone(&arrived) };
    let mut running = Running::new(process).task(task).remote(Arc::new(client));
    running = running.refused_by(REFUSED, arrived);
    if let Some(streams) = streams {
        running = running.streams(streams.begin().map_err(io_failed)?);
    }
    Ok(running.pass_signals(heard))
}

fn io_failed(error: io::Error) -> RunError {
    RunError::new(RunErrorKind::SandboxFailed, format!("the container did not start: {error}"))
        .with_source(error)
}
