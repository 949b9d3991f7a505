//! From the arguments of the process to its exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;
use moat_provider_core::{Registry, RegistryBuilder, Result as CoreResult};

use crate::app::App;
use crate::args::{self, Globals, Invocation};
use crate::command;
use crate::compose::Machine;
use crate::error::{CliError, Code, Result};
use crate::output::Output;
use crate::system::System;

/// Runs the `moat` command with these providers, and returns the exit code of the process.
pub fn main(providers: impl FnOnce() -> CoreResult<RegistryBuilder>) -> ExitCode {
    let machine = Machine::new();
    let code = match providers().map(RegistryBuilder::build) {
        Ok(registry) => run(&machine, registry, std::env::args_os().collect()),
        Err(error) => failed(&Output::default(), &error.into()),
    };
    ExitCode::from(code.number())
}

fn run(system: &dyn System, registry: Registry, words: Vec<OsString>) -> Code {
    let (matches, globals, output) = match prepare(system, &registry, words) {
        Ok(Parsed::Command(parsed)) => *parsed,
        Ok(Parsed::Told(code)) => return code,
        Err(error) => return failed(&Output::default(), &error),
    };
    let done = args::read(&registry, &matches)
        .and_then(|invocation| finish(App { registry, globals, output, system }, invocation));
    match done {
        Ok(code) => code,
        Err(error) => failed(&output, &error),
    }
}

enum Parsed {
    Command(Box<(ArgMatches, Globals, Output)>),
    /// Help, the version or a slip of the pen was shown.
    Told(Code),
}

fn prepare(system: &dyn System, registry: &Registry, words: Vec<OsString>) -> Result<Parsed> {
    args::check_names(registry)?;
    let environment = system.environment();
    let matches = match args::root(registry, &words).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(told) => return Ok(Parsed::Told(tell(&told))),
    };
    let globals = Globals::read(&matches, &*environment)?;
    let output = Output::new(globals.format, globals.verbosity, globals.color, &*environment)?;
    Ok(Parsed::Command(Box::new((matches, globals, output))))
}

/// Shows what the parser has to say.
fn tell(told: &clap::Error) -> Code {
    // When nobody reads it, there is nobody to tell.
    let _ = told.print();
    if told.use_stderr() { Code::Usage } else { Code::Success }
}

fn finish(app: App<'_>, invocation: Invocation) -> Result<Code> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::new("the program cannot start").with_source(&error))?;
    runtime.block_on(command::dispatch(&app, invocation))
}

fn failed(output: &Output, error: &CliError) -> Code {
    output.error(error);
    error.code()
}
