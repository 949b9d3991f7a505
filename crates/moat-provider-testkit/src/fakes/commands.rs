//! Programs that are not started.

use std::fmt;
use std::sync::Mutex;

use moat_provider_core::{
    BoxFuture, CommandOutput, CommandRunner, CommandSpec, Error, ErrorKind, Result, Secret,
};

use super::script::{Script, lock};

/// A starter of programs that starts none and answers from a script.
///
/// A program that the script does not expect, and a step that the code under test did not take,
/// fail the test.
pub struct FakeCommands {
    script: Script<Step>,
    specs: Mutex<Vec<CommandSpec>>,
}

/// How a program ends.
pub struct Reply(Outcome);

enum Outcome {
    Exits(CommandOutput),
    NotFound,
    TimedOut,
}

impl Reply {
    /// It prints this to standard output, and ends well.
    #[must_use]
    pub fn prints(stdout: Secret) -> Self {
        Self::exits(0, stdout, "")
    }

    /// It prints this to standard error and ends with a code.
    #[must_use]
    pub fn fails(code: i32, stderr: &str) -> Self {
        Self::exits(code, Secret::new(String::new()), stderr)
    }

    /// It prints to both and ends with a code.
    #[must_use]
    pub fn exits(code: i32, stdout: Secret, stderr: &str) -> Self {
        let stderr = Secret::new(stderr.to_owned());
        Self(Outcome::Exits(CommandOutput::new(Some(code), stdout, stderr)))
    }

    /// It is not installed.
    #[must_use]
    pub const fn not_found() -> Self {
        Self(Outcome::NotFound)
    }

    /// It does not end in time.
    #[must_use]
    pub const fn timed_out() -> Self {
        Self(Outcome::TimedOut)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

type Check = Box<dyn Fn(&CommandSpec) + Send + Sync>;

struct Step {
    program: String,
    args: Vec<String>,
    check: Check,
    reply: Reply,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", Line(&self.program, &self.args))
    }
}

struct Line<'a>(&'a str, &'a [String]);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        self.1.iter().try_for_each(|arg| write!(f, " {arg:?}"))
    }
}

impl FakeCommands {
    /// Begins a script in which no program is started.
    #[must_use]
    pub fn new() -> Self {
        Self { script: Script::new("the command runner"), specs: Mutex::default() }
    }

    /// Makes a runner on whose machine no program is installed.
    #[must_use]
    pub fn none_installed() -> Self {
        let commands = Self::new();
        commands.relax();
        commands
    }

    /// Expects a program with exactly these arguments next.
    #[must_use]
    pub fn expect<I>(self, program: &str, args: I, reply: Reply) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.expect_checked(program, args, reply, |_| {})
    }

    /// Expects a program like [`expect`](Self::expect), and hands its specification to a check that
    /// panics with a sentence when something else about it is wrong.
    #[must_use]
    pub fn expect_checked<I>(
        self,
        program: &str,
        args: I,
        reply: Reply,
        check: impl Fn(&CommandSpec) + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.script.push(Step {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            check: Box::new(check),
            reply,
        });
        self
    }

    /// Returns every command that was asked for, in order.
    #[must_use]
    pub fn specs(&self) -> Vec<CommandSpec> {
        lock(&self.specs).clone()
    }

    /// Fails the test if a program that was expected was not started.
    ///
    /// # Panics
    ///
    /// As it says. Dropping the fake does the same.
    pub fn verify(&self) {
        self.script.verify();
    }

    pub(crate) fn unused(&self) -> Option<String> {
        self.script.unused()
    }

    /// Makes whatever is not expected a program that is not installed.
    pub(crate) fn relax(&self) {
        self.script.relax();
    }
}

impl Default for FakeCommands {
    fn default() -> Self {
        Self::new()
    }
}

impl CommandRunner for FakeCommands {
    fn run<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<CommandOutput>> {
        Box::pin(async move {
            lock(&self.specs).push(command.clone());
            let (program, args) = (command.program(), command.arguments());
            let asked = format!("run {}", Line(program, args));
            let step =
                self.script.take(&asked, |step| step.program == program && step.args == args);
            let outcome = match step {
                Some(step) => {
                    (step.check)(command);
                    step.reply.0
                }
                None => Outcome::NotFound,
            };
            match outcome {
                Outcome::Exits(output) => Ok(output),
                Outcome::NotFound => Err(Error::new(
                    ErrorKind::CommandNotFound,
                    format!("{program} is not installed"),
                )),
                Outcome::TimedOut => {
                    Err(Error::new(ErrorKind::TimedOut, format!("{program} did not end in time")))
                }
            }
        })
    }
}

impl Drop for FakeCommands {
    fn drop(&mut self) {
        self.script.verify_on_drop();
    }
}

impl fmt::Debug for FakeCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCommands").finish_non_exhaustive()
    }
}
