//! `package`: what would be published is complete.

use crate::process;
use crate::report::{Failure, Outcome};
use crate::workspace::{Package, Workspace};

/// The most keywords that a registry accepts.
const MOST_KEYWORDS: usize = 5;

/// Checks manifest and file list of every crate that can be published.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let packages = workspace.packages()?;
    let published: Vec<_> = packages.iter().filter(|package| package.publishable).collect();
    if published.is_empty() {
        return Ok(Outcome::Skipped("the workspace holds no crate to publish".to_owned()));
    }
    Failure::of_all(published.into_iter().map(|package| check_package(workspace, package)))?;
    Ok(Outcome::Done)
}

fn check_package(workspace: &Workspace, package: &Package) -> Result<(), Failure> {
    let list = workspace.cargo(&format!("package --list --allow-dirty --package {}", package.name));
    let files = process::capture(list)?;
    let files: Vec<&str> = files.lines().collect();
    println!("== package: {} would be published with {} files", package.name, files.len());
    let mut findings = judge_manifest(package);
    findings.extend(judge_files(package, &files));
    Failure::of_findings(&findings)
}

/// Judges what the manifest says about the crate.
fn judge_manifest(package: &Package) -> Vec<String> {
    let fields = [
        ("description", &package.description),
        ("license", &package.license),
        ("repository", &package.repository),
        ("readme", &package.readme),
    ];
    let is_empty = |field: &Option<String>| field.as_deref().unwrap_or_default().trim().is_empty();
    let mut findings: Vec<String> = fields
        .iter()
        .filter(|(_, field)| is_empty(field))
        .map(|(name, _)| format!("{}: the manifest has no {name}", package.name))
        .collect();
    if package.keywords.is_empty() || package.keywords.len() > MOST_KEYWORDS {
        findings.push(format!("{}: 1 to {MOST_KEYWORDS} keywords are needed", package.name));
    }
    if package.categories.is_empty() {
        findings.push(format!("{}: at least one category is needed", package.name));
    }
    findings
}

/// Judges the list of files that would be published.
fn judge_files(package: &Package, files: &[&str]) -> Vec<String> {
    // A README from above the crate is published under its bare name.
    let readme = package.readme.as_deref().map(|path| path.rsplit('/').next().unwrap_or(path));
    let missing = readme.filter(|name| !files.contains(name));
    missing
        .map(|name| format!("{}: {name} would not be published", package.name))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Package {
        Package {
            name: "moat-x".to_owned(),
            description: Some("X".to_owned()),
            license: Some("MIT".to_owned()),
            repository: Some("https://example.com/x".to_owned()),
            readme: Some("README.md".to_owned()),
            keywords: vec!["x".to_owned()],
            categories: vec!["x".to_owned()],
            ..Package::default()
        }
    }

    #[test]
    fn a_complete_manifest_passes() {
        assert!(judge_manifest(&complete()).is_empty());
    }

    #[test]
    fn every_field_is_required() {
        let blank = Package { description: Some(" ".to_owned()), ..complete() };
        assert_eq!(judge_manifest(&blank), ["moat-x: the manifest has no description"]);
        let bare = Package { name: "moat-x".to_owned(), ..Package::default() };
        assert_eq!(judge_manifest(&bare).len(), 6);
        let many = Package { keywords: vec!["x".to_owned(); MOST_KEYWORDS + 1], ..complete() };
        assert_eq!(judge_manifest(&many), ["moat-x: 1 to 5 keywords are needed"]);
    }

    #[test]
    fn the_readme_is_published() {
        assert!(judge_files(&complete(), &["Cargo.toml", "README.md"]).is_empty());
        let findings = judge_files(&complete(), &["Cargo.toml"]);
        assert_eq!(findings, ["moat-x: README.md would not be published"]);
        let above = Package { readme: Some("../../README.md".to_owned()), ..complete() };
        assert!(judge_files(&above, &["README.md"]).is_empty());
    }
}
