//! `bench proxy` and `bench aws`: the data plane beside other proxies, and what signing anew costs,
//! measured by the crate under `bench`.

use crate::process::stream;
use crate::report::Failure;
use crate::workspace::Workspace;

/// Where the crate is; a workspace of its own, so that what only it needs stays out of ours.
pub(crate) const DIRECTORY: &str = "bench";

/// Measures what is named.
///
/// # Errors
///
/// When it is not known, and those of [`measure`].
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    match options.split_first() {
        Some((name, options)) if name == "proxy" => measure(workspace, options),
        Some((name, _)) if name == "aws" => measure(workspace, options),
        _ => Err(Failure::new("what can be measured is `bench proxy` and `bench aws`")),
    }
}

/// Builds the benchmark as a product would be built, and runs it with these options.
///
/// # Errors
///
/// It does not build, or it cannot measure.
fn measure(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let directory = workspace.root().join(DIRECTORY);
    stream("bench", workspace.cargo_in(&directory, "build --release --locked"))?;
    // Not through `stream`: progress is written over itself, and a table has no need of a heading.
    let mut run = workspace.cargo_in(&directory, "run --quiet --release --locked --");
    run.args(options);
    let status = run.status().map_err(|error| Failure::new(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(Failure::new("nothing was measured")) }
}
