//! Programs of the host.

mod capture;
mod search;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use moat_provider_core::{
    BoxFuture, CommandOutput, CommandRunner, CommandSpec, Environment, Error, ErrorKind, Result,
    escape_line,
};

use self::search::SearchPath;
use crate::environment::plain;

/// Where every program runs: outside of all workspaces, and there on every machine.
const DIRECTORY: &str = "/";

/// What programs need to find themselves, beside `PATH`.
const ALWAYS: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ADDRESS",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_IDENTIFICATION",
    "LC_MEASUREMENT",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NAME",
    "LC_NUMERIC",
    "LC_PAPER",
    "LC_TELEPHONE",
    "LC_TIME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// Starts programs of the host, as processes of the tokio runtime that polls.
///
/// Programs are looked up here, in a `PATH` without entries that are relative or lie in a
/// [workspace](Self::workspace), and run in `/`: nothing that a container can write decides what
/// runs (law L17). Each runs in a process group of its own, which is killed as a whole at the time
/// limit, when the output is too long, and when the future is dropped. What a program leaves
/// running when it ends by itself is left alone; a process that started a session of its own is not
/// found.
#[derive(Clone)]
pub struct SystemCommands {
    environment: Arc<dyn Environment>,
    workspaces: Vec<PathBuf>,
}

impl SystemCommands {
    /// Makes a runner whose children inherit from this environment.
    #[must_use]
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        Self { environment, workspaces: Vec::new() }
    }

    /// Names a directory that a container can write. No program is taken from it, also not through
    /// a symbolic link.
    #[must_use]
    pub fn workspace(mut self, dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        let real = dir.canonicalize().or_else(|_| std::path::absolute(dir));
        self.workspaces.push(real.unwrap_or_else(|_| dir.to_owned()));
        self
    }

    pub(crate) fn environment(&self) -> &dyn Environment {
        &*self.environment
    }

    /// Prepares a program: found, with a cleared environment, in a directory outside of every
    /// workspace. `session` names further variables of the person's session that it gets.
    #[expect(clippy::disallowed_methods, reason = "this is the command port")]
    pub(crate) fn prepare(&self, spec: &CommandSpec, session: &[&str]) -> Result<Command> {
        let path = plain(&*self.environment, "PATH")?;
        let path = SearchPath::clean(path.as_deref(), &self.workspaces);
        let mut command = Command::new(path.find(spec.program())?);
        command.args(spec.arguments()).current_dir(DIRECTORY).env_clear();
        command.env("PATH", path.joined());
        let inherited = spec.inherited().iter().map(String::as_str);
        let names = ALWAYS.iter().chain(session).copied().chain(inherited);
        for name in names.filter(|name| *name != "PATH") {
            if let Some(value) = self.environment.var(name)? {
                // A copy that is not wiped: the child's environment is one, too.
                command.env(name, OsString::from(value.expose()));
            }
        }
        command.envs(spec.variables().iter().map(|var| (var.name(), var.value())));
        Ok(command)
    }
}

impl CommandRunner for SystemCommands {
    fn run<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<CommandOutput>> {
        Box::pin(capture::run(self, command))
    }
}

impl fmt::Debug for SystemCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemCommands")
            .field("workspaces", &self.workspaces)
            .finish_non_exhaustive()
    }
}

/// Says why a program that was found did not start.
pub(crate) fn not_started(program: &str, error: io::Error) -> Error {
    let program = escape_line(program);
    match error.kind() {
        // The file is there: what is not there is the interpreter in its first line.
        io::ErrorKind::NotFound => Error::new(
            ErrorKind::CommandNotFound,
            format!("{program} cannot start: the interpreter that it names is not installed"),
        )
        .with_hint(format!("install {program} anew")),
        io::ErrorKind::InvalidInput => {
            Error::invalid(format!("an argument or a variable for {program} holds a NUL"))
                .with_hint("leave the NUL out")
        }
        _ => Error::new(ErrorKind::Io, format!("{program} cannot be started"))
            .with_hint(format!("try it by hand: {program} --version"))
            .with_source(error),
    }
}
