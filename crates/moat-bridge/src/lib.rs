#![doc = include_str!("../README.md")]

mod args;
mod command;
mod descriptors;
mod join;
mod publish;
mod server;
mod signals;
mod visit;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::args::{Bridge, Program, Request};
use crate::command::Child;
use crate::server::Server;

/// The exit code when the bridge itself fails, as container engines have it.
const FAILED: u8 = 125;

/// The name that the process has, by which another program knows that it is to be the bridge: the
/// last part of its first word.
pub const NAME: &str = "moat-bridge";

/// Whether this process was started as the bridge.
#[must_use]
pub fn is_meant() -> bool {
    let name = env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == NAME))
}

/// Is the bridge, with the arguments of this process, and returns its exit code.
///
/// Starts no thread, and is to be called before anything else does.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let code = match args::parse(args) {
        Ok(Request::Bridge(bridge)) => run(bridge).unwrap_or_else(|error| {
            complain(&format!("{error}"));
            FAILED
        }),
        Ok(Request::Program(program)) => become_program(program),
        Ok(Request::Version) => {
            #[expect(clippy::print_stdout, reason = "this is what was asked for")]
            {
                println!("moat-bridge {}", env!("CARGO_PKG_VERSION"));
            }
            0
        }
        Err(message) => {
            complain(&message);
            FAILED
        }
    };
    ExitCode::from(code)
}

/// Listens, starts the command and serves until the command has ended.
fn run(bridge: Bridge) -> io::Result<u8> {
    descriptors::close_foreign(if bridge.visits { visit::DESCRIPTOR } else { 2 })?;
    // The terminal of the person is no business of the container.
    _ = nix::unistd::setsid();
    if bridge.program.terminal {
        command::take_terminal()?;
    }
    let soft = descriptors::raise()?;
    let signals = signals::block()?;
    let mut server = Server::new(&bridge, signals, soft)?;
    let child = Child::spawn(&bridge.program, soft, None)?;
    server.serve(&child)
}

/// The command's own process, just before it becomes the command.
fn become_program(program: Program) -> u8 {
    let (message, code) = command::exec(program);
    complain(&message);
    code
}

fn complain(message: &str) {
    #[expect(clippy::print_stderr, reason = "the standard error is where a person reads this")]
    {
        eprintln!("moat-bridge: {message}");
    }
}
