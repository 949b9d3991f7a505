//! Golden files: what a provider stages, kept as text beside its tests.
//!
//! ```no_run
//! use moat_provider_core::{ContainerMounts, EnvVar};
//! use moat_provider_testkit::golden::{self, Picture};
//!
//! # fn main() -> moat_provider_core::Result<()> {
//! let env = [EnvVar::new("GIT_TERMINAL_PROMPT", "0")?];
//! let picture = Picture::new().env(&env).mounts(&ContainerMounts::default());
//! golden::check("tests/golden/container.txt", &picture.to_string());
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Write as _};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use moat_provider_core::{ContainerMounts, EnvVar, MountAccess, MountSource, Placeholder};

/// The variable that makes [`check`] write: `MOAT_BLESS=1 cargo test`.
const BLESS: &str = "MOAT_BLESS";

/// Compares text with a golden file of the crate under test.
///
/// `path` is relative to the crate's directory, in which Cargo runs its tests. With `MOAT_BLESS=1`
/// in the environment the file is written instead.
///
/// # Panics
///
/// When the file is missing or other than the text, with the lines that differ.
#[track_caller]
pub fn check(path: impl AsRef<Path>, contents: &str) {
    let path = path.as_ref();
    if blessed() {
        write(path, contents);
        return;
    }
    let shown = path.display();
    match fs::read_to_string(path) {
        Ok(golden) if golden == contents => {}
        Ok(golden) => panic!(
            "{shown} is not what came out (- golden, + now); if that is right, run the test with \
             {BLESS}=1\n{}",
            difference(&golden, contents)
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("there is no {shown}: run the test with {BLESS}=1 to write it\n{contents}")
        }
        Err(error) => panic!("{shown} cannot be read: {error}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer says by the environment that golden files are to be written"
)]
fn blessed() -> bool {
    std::env::var_os(BLESS).is_some_and(|value| value == "1")
}

fn write(path: &Path, contents: &str) {
    let directory = path.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = directory.and_then(|()| fs::write(path, contents)) {
        panic!("{} cannot be written: {error}", path.display());
    }
}

/// Shows the lines between the common beginning and the common end.
fn difference(golden: &str, now: &str) -> String {
    let old: Vec<&str> = golden.lines().collect();
    let new: Vec<&str> = now.lines().collect();
    let begin = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let shorter = old.len().min(new.len()) - begin;
    let end = old.iter().rev().zip(new.iter().rev());
    let end = end.take_while(|(old, new)| old == new).count().min(shorter);
    let mut text = format!("from line {}:\n", begin + 1);
    for line in &old[begin..old.len() - end] {
        text.push_str(&format!("- {line}\n"));
    }
    for line in &new[begin..new.len() - end] {
        text.push_str(&format!("+ {line}\n"));
    }
    if begin + end == old.len() && old.len() == new.len() {
        text.push_str("(only the end of the last line differs)\n");
    }
    text
}

/// A container as text: variables, files with their modes and contents, and mounts.
///
/// Placeholders, which are others in every run, are shown under names.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Picture {
    text: String,
    names: Vec<(String, String)>,
}

impl Picture {
    /// Begins an empty picture.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds variables, in their order.
    pub fn env(mut self, env: &[EnvVar]) -> Self {
        for var in env {
            self.line(format_args!("env {}={}", var.name(), var.value()));
        }
        self
    }

    /// Adds files and mounts, in their order.
    pub fn mounts(mut self, mounts: &ContainerMounts) -> Self {
        for file in &mounts.files {
            self.line(format_args!("file {} mode {:04o}", file.path(), file.permissions()));
            let contents = String::from_utf8_lossy(file.contents());
            for line in contents.lines() {
                self.line(format_args!("    {line}"));
            }
        }
        for mount in &mounts.mounts {
            let source = match mount.source() {
                MountSource::Host(path) => format!("host {}", path.display()),
                MountSource::PrivateToRun(name) => format!("run {name}"),
                MountSource::PrivateToWorkspace(name) => format!("workspace {name}"),
                other => format!("{other:?}"),
            };
            let access = match mount.access() {
                MountAccess::ReadOnly => "read-only",
                MountAccess::ReadWrite => "read-write",
            };
            self.line(format_args!("mount {} from {source}, {access}", mount.target()));
        }
        self
    }

    /// Shows a placeholder as `<placeholder:NAME>`.
    pub fn placeholder(mut self, name: &str, placeholder: &Placeholder) -> Self {
        let shown = format!("<placeholder:{name}>");
        self.names.push((placeholder.as_str().to_owned(), shown));
        self
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text.clone();
        for (placeholder, name) in &self.names {
            text = text.replace(placeholder, name);
        }
        f.write_str(&text)
    }
}
