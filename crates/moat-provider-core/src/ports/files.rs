//! Files of the host.

use std::borrow::Cow;
use std::fmt;

use crate::{BoxFuture, Result, Secret};

/// A file of the person's that a vendor's tool keeps, and where that tool looks for it.
///
/// Candidates are tried in order; the first whose directory is known decides, as in the tools
/// themselves: where `GH_CONFIG_DIR` is set, gh looks nowhere else.
///
/// ```
/// use moat_provider_core::{HostDir, HostFile};
///
/// let preferences = HostFile::new("gh/config.yml")
///     .at(HostDir::Variable("GH_CONFIG_DIR"), "config.yml")
///     .at(HostDir::Config, "gh/config.yml");
/// assert_eq!(preferences.candidates().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    name: Cow<'static, str>,
    candidates: Vec<HostPath>,
}

/// One place where a host file may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    dir: HostDir,
    relative: Cow<'static, str>,
}

/// A directory of the host.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostDir {
    /// The person's home directory.
    Home,
    /// `$XDG_CONFIG_HOME`, or `~/.config` when that is not set.
    Config,
    /// The directory, or with an empty relative path the file, that a variable names.
    Variable(&'static str),
}

impl HostFile {
    /// Names a file; the name is its key in a [`RunContext`](crate::RunContext) and stands in
    /// messages.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), candidates: Vec::new() }
    }

    /// Adds a place to look.
    #[must_use]
    pub fn at(mut self, dir: HostDir, relative: impl Into<Cow<'static, str>>) -> Self {
        self.candidates.push(HostPath { dir, relative: relative.into() });
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the places to look, in order.
    #[must_use]
    pub fn candidates(&self) -> &[HostPath] {
        &self.candidates
    }
}

impl HostPath {
    /// Returns the directory.
    #[must_use]
    pub fn dir(&self) -> HostDir {
        self.dir
    }

    /// Returns the path below it, with slashes.
    #[must_use]
    pub fn relative(&self) -> &str {
        &self.relative
    }
}

/// Reads files of the person.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Reads a file; `None` when there is none.
    ///
    /// An implementation opens regular files only, of at most 1 MiB.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the file is there and cannot be read, or is too
    /// long, or is not UTF-8.
    fn read<'a>(&'a self, file: &'a HostFile) -> BoxFuture<'a, Result<Option<Secret>>>;
}
