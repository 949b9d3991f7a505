//! The steps that can be named, and those that are no more than a command.

use std::process::Command;

use crate::process::{stream, succeeds};
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;
use crate::{behaviours, bench, downstream, e2e, features, fuzz, layers, package, words};

/// Something that `cargo xtask` can do.
#[derive(Debug)]
pub(crate) struct Step {
    /// What the person types.
    pub(crate) name: &'static str,
    /// One line for the help.
    pub(crate) about: &'static str,
    /// Whether `test-all` includes it.
    pub(crate) in_test_all: bool,
    /// Does it.
    pub(crate) run: fn(&Workspace) -> Result<Outcome, Failure>,
}

/// Every step, in the order of `test-all`: what is quick and often wrong comes first.
pub(crate) const STEPS: &[Step] = &[
    checked("fmt", "the code is formatted as rustfmt would", fmt),
    checked("layers", "dependencies point in the direction that law L1 allows", layers::check),
    checked("clippy", "neither compiler nor clippy warns, with all features", clippy),
    checked("test", "unit and integration tests pass, by nextest where it is installed", test),
    checked("doctest", "the examples in the documentation compile and pass", doctest),
    checked("doc", "the documentation builds without a warning", doc),
    checked(
        "features",
        "each crate compiles alone, with no, each and all features",
        features::check,
    ),
    checked(
        "downstream",
        "the crates under docs/examples are formatted and pass their tests",
        downstream::check,
    ),
    checked(
        "corpus",
        "the inputs under fuzz/corpus hold the properties of their targets",
        fuzz::replay,
    ),
    checked("package", "what would be published is complete", package::check),
    checked(
        "words",
        "no file holds a note to oneself, a private path or a registry's host",
        words::check,
    ),
    checked(
        "behaviours",
        "each test that the page of the proxy's behaviours names exists",
        behaviours::check,
    ),
    on_demand("e2e", "installs real clients and servers, and runs the tests with them", e2e::check),
    on_demand("book", "builds the book with mdbook", book),
    on_demand("bless", "rewrites the golden files from what the tests produce", bless),
];

type Run = fn(&Workspace) -> Result<Outcome, Failure>;

const fn checked(name: &'static str, about: &'static str, run: Run) -> Step {
    Step { name, about, in_test_all: true, run }
}

const fn on_demand(name: &'static str, about: &'static str, run: Run) -> Step {
    Step { name, about, in_test_all: false, run }
}

fn fmt(workspace: &Workspace) -> Result<Outcome, Failure> {
    stream("fmt", workspace.cargo("fmt --all --check"))?;
    for beside in [bench::DIRECTORY, e2e::CLIENT] {
        let beside = workspace.root().join(beside);
        stream("fmt", workspace.cargo_in(&beside, "fmt --check"))?;
    }
    Ok(Outcome::Done)
}

fn clippy(workspace: &Workspace) -> Result<Outcome, Failure> {
    let arguments = "clippy --workspace --all-targets --all-features -- -D warnings";
    stream("clippy", workspace.cargo(arguments))?;
    Ok(Outcome::Done)
}

fn test(workspace: &Workspace) -> Result<Outcome, Failure> {
    stream("test", test_command(workspace))?;
    Ok(Outcome::Done)
}

/// Returns the command that runs all tests but those in the documentation.
fn test_command(workspace: &Workspace) -> Command {
    if succeeds(workspace.cargo("nextest --version")) {
        workspace.cargo("nextest run --workspace --all-features")
    } else {
        println!("cargo-nextest is not installed: `cargo test` runs the tests");
        workspace.cargo("test --workspace --all-features --no-fail-fast --lib --bins --tests")
    }
}

fn doctest(workspace: &Workspace) -> Result<Outcome, Failure> {
    stream("doctest", workspace.cargo("test --workspace --all-features --no-fail-fast --doc"))?;
    Ok(Outcome::Done)
}

fn doc(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut command = workspace.cargo("doc --workspace --all-features --no-deps");
    command.env("RUSTDOCFLAGS", "-D warnings");
    stream("doc", command)?;
    Ok(Outcome::Done)
}

fn book(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mdbook = |arguments: &[&str]| {
        let mut command = crate::process::command("mdbook", workspace.root());
        command.args(arguments);
        command
    };
    if !succeeds(mdbook(&["--version"])) {
        return Err(Failure::new("mdbook is not installed: cargo install mdbook --locked"));
    }
    stream("book", mdbook(&["build", "docs"]))?;
    Ok(Outcome::Done)
}

fn bless(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut command = test_command(workspace);
    command.env("MOAT_BLESS", "1");
    // What changed is of interest above all when a test failed nevertheless.
    let tested = stream("bless", command);
    let shown = stream("bless", workspace.git("status --short"));
    Failure::of_all([tested, shown])?;
    Ok(Outcome::Done)
}
