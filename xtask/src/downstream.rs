//! `downstream`: the example crates of the documentation, which use the workspace as others would.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::process::stream;
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

/// Where the example crates are, each a workspace of its own.
const EXAMPLES: &str = "docs/examples";

/// Checks the formatting of every example crate and runs its tests.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let unreadable = |error| Failure::new(format!("{EXAMPLES} cannot be read: {error}"));
    let examples = crates_in(&workspace.root().join(EXAMPLES)).map_err(unreadable)?;
    if examples.is_empty() {
        return Ok(Outcome::Skipped(format!("{EXAMPLES} holds no crate")));
    }
    let results = examples.iter().map(|example| {
        stream("downstream", workspace.cargo_in(example, "fmt --check"))?;
        // A lock file that is there must be current: readers build with it.
        let locked = if example.join("Cargo.lock").exists() { "--locked" } else { "" };
        let mut command = workspace.cargo_in(example, &format!("test {locked}"));
        // What the workspace has compiled serves the examples too.
        command.arg("--target-dir").arg(workspace.root().join("target"));
        stream("downstream", command)
    });
    Failure::of_all(results)?;
    Ok(Outcome::Done)
}

/// Returns the directories in `directory` that hold a crate, sorted; none if it does not exist.
fn crates_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut crates = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            crates.push(path);
        }
    }
    crates.sort();
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_only_crates() {
        let root = Workspace::locate().root().to_owned();
        let found = crates_in(&root).unwrap();
        assert!(found.contains(&root.join("xtask")), "{found:?}");
        assert!(!found.contains(&root.join("crates")), "{found:?}");
        assert!(crates_in(&root.join("no-such-directory")).unwrap().is_empty());
    }
}
