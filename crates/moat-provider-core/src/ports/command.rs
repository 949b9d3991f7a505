//! Programs of the host.

use std::fmt;
use std::time::Duration;

use crate::{BoxFuture, EnvVar, Result, Secret};

/// A program to start: name and arguments, no shell.
///
/// The child's environment is cleared. It gets what programs need to find themselves (`PATH`,
/// `HOME`, the locale, the temporary and XDG directories), the variables that
/// [`inherit`](Self::inherit) names, and those of [`env`](Self::env). So a refresh cannot pick up a
/// stale token from a variable, not even through a vendor's tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    program: String,
    args: Vec<String>,
    inherit: Vec<String>,
    env: Vec<EnvVar>,
    timeout: Duration,
}

impl CommandSpec {
    /// Makes a command without arguments. The program is looked up in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            inherit: Vec::new(),
            env: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Adds arguments. They are visible to every process of the machine: no secret goes here.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Names variables of the host's environment that the child gets as they are.
    #[must_use]
    pub fn inherit<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.inherit.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child. It is printed by `Debug`: no secret goes here.
    #[must_use]
    pub fn env(mut self, var: EnvVar) -> Self {
        self.env.push(var);
        self
    }

    /// Sets how long the program may run; 30 seconds without this. Ignored for a program that runs
    /// attached to the terminal.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Returns the arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.args
    }

    /// Returns the names of the variables that the child inherits.
    #[must_use]
    pub fn inherited(&self) -> &[String] {
        &self.inherit
    }

    /// Returns the variables set for the child.
    #[must_use]
    pub fn variables(&self) -> &[EnvVar] {
        &self.env
    }

    /// Returns how long the program may run.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.timeout
    }
}

/// What a program printed, and how it ended.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output: at most 1 MiB.
    pub stdout: Secret,
    /// What it wrote to standard error: at most 64 KiB, with what is not UTF-8 replaced.
    pub stderr: Secret,
}

impl CommandOutput {
    /// Makes an output.
    #[must_use]
    pub fn new(code: Option<i32>, stdout: Secret, stderr: Secret) -> Self {
        Self { code, stdout, stderr }
    }

    /// Whether the program ended with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Starts programs on the host and reads what they print.
pub trait CommandRunner: fmt::Debug + Send + Sync {
    /// Runs a program to its end, with nothing on its standard input and a working directory
    /// outside every workspace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CommandNotFound`](crate::ErrorKind::CommandNotFound) when it is not installed,
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), and
    /// [`ErrorKind::UnexpectedAnswer`](crate::ErrorKind::UnexpectedAnswer) when it printed too much
    /// or no UTF-8. An exit code other than 0 is an answer, not an error.
    fn run<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<CommandOutput>>;
}
