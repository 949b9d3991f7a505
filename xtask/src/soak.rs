//! `soak`: hours of mixed traffic compressed into minutes, by the program under `soak`.

use crate::process::stream;
use crate::report::Failure;
use crate::workspace::Workspace;

/// Where the crate is, a workspace of its own.
const DIRECTORY: &str = "soak";

/// Builds the program and runs it with these options.
///
/// # Errors
///
/// When it does not build, or something was not as it must be.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let directory = workspace.root().join(DIRECTORY);
    let mut command = workspace.cargo_in(&directory, "run --release --locked --quiet --");
    command.args(options);
    stream("soak", command)
}
