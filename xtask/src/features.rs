//! `features`: a crate compiles by itself, whichever of its features are on.
//!
//! A build of the whole workspace cannot tell, because there each crate gets every feature that any
//! other crate asked its dependencies for.

use crate::process::stream;
use crate::report::{Failure, Outcome};
use crate::workspace::{Package, Workspace};

/// Checks every crate that can be published with none, each and all of its features.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let packages = workspace.packages()?;
    let published: Vec<_> = packages.iter().filter(|package| package.publishable).collect();
    if published.is_empty() {
        return Ok(Outcome::Skipped("the workspace holds no crate to publish".to_owned()));
    }
    Failure::of_all(published.into_iter().map(|package| check_package(workspace, package)))?;
    Ok(Outcome::Done)
}

/// Checks the combinations of one crate, up to the first that fails: the others would mostly fail
/// for the same reason.
fn check_package(workspace: &Workspace, package: &Package) -> Result<(), Failure> {
    combinations(package).into_iter().try_for_each(|flags| {
        // Clippy rather than `check`, because only clippy makes warnings fail without compiling
        // the dependencies anew.
        let command = format!("clippy --package {} {flags} --no-deps -- -D warnings", package.name);
        stream("features", workspace.cargo(&command))
    })
}

/// Returns the flags for each combination of features to check.
fn combinations(package: &Package) -> Vec<String> {
    let is_choice = |(name, enables): &(&String, &Vec<String>)| {
        // An empty default set is the same as no features.
        *name != "default" || !enables.is_empty()
    };
    let features: Vec<_> =
        package.features.iter().filter(is_choice).map(|(name, _)| name).collect();
    let mut flags = vec!["--no-default-features".to_owned()];
    let each = features.iter().map(|name| format!("--no-default-features --features {name}"));
    flags.extend(each);
    if features.len() > 1 {
        flags.push("--all-features".to_owned());
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(features: &[(&str, &[&str])]) -> Package {
        let owned = |(name, enables): &(&str, &[&str])| {
            ((*name).to_owned(), enables.iter().map(|&feature| feature.to_owned()).collect())
        };
        Package { features: features.iter().map(owned).collect(), ..Package::default() }
    }

    #[test]
    fn none_each_and_all() {
        let facade = package(&[("aws", &[]), ("default", &[]), ("github", &[])]);
        let expected = [
            "--no-default-features",
            "--no-default-features --features aws",
            "--no-default-features --features github",
            "--all-features",
        ];
        assert_eq!(combinations(&facade), expected);
    }

    #[test]
    fn a_default_that_enables_something_is_a_choice_of_its_own() {
        let store = package(&[("default", &["file"]), ("file", &[])]);
        assert!(
            combinations(&store).contains(&"--no-default-features --features default".to_owned())
        );
    }

    #[test]
    fn one_combination_is_not_checked_twice() {
        assert_eq!(combinations(&package(&[])), ["--no-default-features"]);
        let one = package(&[("cli", &[])]);
        let expected = ["--no-default-features", "--no-default-features --features cli"];
        assert_eq!(combinations(&one), expected);
    }
}
