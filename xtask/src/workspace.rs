//! The workspace as cargo describes it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::json::{self, Value};
use crate::process;
use crate::report::Failure;

/// Where the workspace is and which cargo builds it.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// Finds the workspace that this program belongs to.
    #[expect(clippy::disallowed_methods, reason = "cargo tells its children where they are")]
    pub(crate) fn locate() -> Self {
        let built_from = || OsString::from(env!("CARGO_MANIFEST_DIR"));
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built_from);
        let manifest_dir = Path::new(&manifest_dir);
        Self {
            root: manifest_dir.parent().unwrap_or(manifest_dir).to_owned(),
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        }
    }

    /// Returns the directory of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a cargo command in the workspace; `arguments` are separated by spaces.
    pub(crate) fn cargo(&self, arguments: &str) -> Command {
        self.cargo_in(&self.root, arguments)
    }

    /// Returns a cargo command in another directory.
    pub(crate) fn cargo_in(&self, directory: &Path, arguments: &str) -> Command {
        let mut command = process::command(&self.cargo, directory);
        command.args(arguments.split_whitespace());
        command
    }

    /// Returns a git command in the workspace.
    ///
    /// A checkout may belong to another user than the one who checks it (root in a container); git
    /// would refuse to read it, though its code is being run anyway.
    pub(crate) fn git(&self, arguments: &str) -> Command {
        let mut safe = OsString::from("safe.directory=");
        safe.push(&self.root);
        let mut command = process::command("git", &self.root);
        command.arg("-c").arg(safe).args(arguments.split_whitespace());
        command
    }

    /// Asks cargo for the crates of the workspace, sorted by name.
    ///
    /// # Errors
    ///
    /// A manifest is broken, or cargo's answer is not understood.
    pub(crate) fn packages(&self) -> Result<Vec<Package>, Failure> {
        let metadata = process::capture(self.cargo("metadata --no-deps --format-version 1"))?;
        parse_packages(&metadata)
            .map_err(|error| Failure::new(format!("cargo's metadata is not understood: {error}")))
    }
}

/// A crate of the workspace, as its manifest declares it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) publishable: bool,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    /// The path of the README, relative to the manifest.
    pub(crate) readme: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
}

/// A dependency that a manifest declares, optional or not and for whichever target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
}

/// When a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    /// By the crate itself or by its build script.
    Normal,
    /// Only by its tests and examples.
    Dev,
}

fn parse_packages(metadata: &str) -> Result<Vec<Package>, String> {
    let metadata = json::parse(metadata).map_err(|error| error.to_string())?;
    let packages = metadata.member("packages").elements();
    let mut packages = packages.iter().map(parse_package).collect::<Result<Vec<_>, _>>()?;
    if packages.is_empty() {
        return Err("it holds no packages".to_owned());
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn parse_package(package: &Value) -> Result<Package, String> {
    let optional = |key| package.member(key).text().map(str::to_owned);
    let required = |key| optional(key).ok_or_else(|| format!("a package has no {key}"));
    let dependencies = package.member("dependencies").elements();
    Ok(Package {
        name: required("name")?,
        publishable: *package.member("publish") != Value::Array(Vec::new()),
        features: (package.member("features").members().iter())
            .map(|(name, enables)| (name.clone(), strings(enables)))
            .collect(),
        dependencies: dependencies.iter().map(parse_dependency).collect::<Result<_, _>>()?,
        description: optional("description"),
        license: optional("license"),
        repository: optional("repository"),
        readme: optional("readme"),
        keywords: strings(package.member("keywords")),
        categories: strings(package.member("categories")),
    })
}

fn parse_dependency(dependency: &Value) -> Result<Dependency, String> {
    let name = dependency.member("name").text().ok_or("a dependency has no name")?;
    let kind = match dependency.member("kind").text() {
        Some("dev") => DependencyKind::Dev,
        _ => DependencyKind::Normal,
    };
    Ok(Dependency { name: name.to_owned(), kind })
}

fn strings(array: &Value) -> Vec<String> {
    array.elements().iter().filter_map(Value::text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_writes() {
        let metadata = r#"{"packages": [
            {"name": "xtask", "publish": []},
            {
                "name": "moat-providers", "manifest_path": "/ws/moat-providers/Cargo.toml",
                "publish": null, "description": "All", "readme": "README.md", "license": null,
                "keywords": ["a", "b"], "categories": [],
                "features": {"default": [], "github": ["dep:moat-provider-github"]},
                "dependencies": [
                    {"name": "moat-provider-github", "kind": null, "optional": true},
                    {"name": "cc", "kind": "build"},
                    {"name": "insta", "kind": "dev"}
                ]
            }
        ], "version": 1}"#;
        let packages = parse_packages(metadata).unwrap();
        let [facade, xtask] = packages.as_slice() else { panic!("{packages:?}") };
        assert_eq!(xtask.name, "xtask");
        assert!(facade.publishable && !xtask.publishable);
        assert_eq!(facade.description.as_deref(), Some("All"));
        assert_eq!(facade.license, None);
        assert_eq!(facade.keywords, ["a", "b"]);
        assert_eq!(facade.features["github"], ["dep:moat-provider-github"]);
        let kinds = [DependencyKind::Normal, DependencyKind::Normal, DependencyKind::Dev];
        assert!(facade.dependencies.iter().map(|dependency| dependency.kind).eq(kinds));
    }

    #[test]
    fn refuses_what_cargo_would_not_write() {
        assert_eq!(parse_packages("{}").unwrap_err(), "it holds no packages");
        let unnamed = r#"{"packages": [{"description": "No name"}]}"#;
        assert_eq!(parse_packages(unnamed).unwrap_err(), "a package has no name");
        assert_eq!(parse_packages("{").unwrap_err(), "expected a string at byte 1");
    }

    #[test]
    fn the_workspace_holds_this_crate() {
        let packages = Workspace::locate().packages().unwrap();
        assert!(packages.iter().any(|package| package.name == env!("CARGO_PKG_NAME")));
    }
}
