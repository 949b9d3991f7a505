//! What is placed into a container, as data: variables, files, mounts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::text::print_as_text;
use crate::{CredentialKey, Error, ErrorKind, Result};

/// An absolute path inside a container: UTF-8, slashes, no dot segments, no slash at the end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPath(Arc<str>);

impl ContainerPath {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a path below this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when `relative` is absolute, empty or has dot segments.
    pub fn join(&self, relative: &str) -> Result<Self> {
        match &*self.0 {
            "/" => format!("/{relative}"),
            own => format!("{own}/{relative}"),
        }
        .parse()
    }

    /// Whether this path lies below a directory.
    #[must_use]
    pub fn is_below(&self, directory: &Self) -> bool {
        match self.0.strip_prefix(&*directory.0) {
            Some(rest) => rest.starts_with('/') || (&*directory.0 == "/" && !rest.is_empty()),
            None => false,
        }
    }
}

impl FromStr for ContainerPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        let segment = |s: &str| !matches!(s, "" | "." | "..") && !s.contains(char::is_control);
        match path.strip_prefix('/') {
            Some("") => Ok(Self(path.into())),
            Some(rest) if rest.split('/').all(segment) => Ok(Self(path.into())),
            _ => Err(Error::invalid(format!(
                "{path:?} is not a path in a container: absolute, without empty or dot segments"
            ))),
        }
    }
}

print_as_text!(ContainerPath);

/// An environment variable of the container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvVar {
    name: String,
    value: String,
}

impl EnvVar {
    /// Makes a variable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the name is not of letters, digits and underscores (POSIX
    /// environment variable name) or the value holds a NUL. The text shows no value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let (name, value) = (name.into(), value.into());
        let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        if !name.bytes().next().is_some_and(letter)
            || !name.bytes().all(|b| letter(b) || b.is_ascii_digit())
        {
            return Err(Error::invalid(format!("{name:?} is not the name of a variable")));
        }
        if value.contains('\0') {
            return Err(Error::invalid(format!("the value of {name} holds a NUL")));
        }
        Ok(Self { name, value })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A file that stands in the container before it starts. The container owns it and may change it.
#[derive(Clone, PartialEq, Eq)]
pub struct StagedFile {
    path: ContainerPath,
    contents: Bytes,
    mode: u32,
}

impl StagedFile {
    /// Makes a file that its owner alone reads and writes (mode 0600).
    #[must_use]
    pub fn new(path: ContainerPath, contents: impl Into<Bytes>) -> Self {
        Self { path, contents: contents.into(), mode: 0o600 }
    }

    /// Sets the permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Returns where the file stands.
    #[must_use]
    pub fn path(&self) -> &ContainerPath {
        &self.path
    }

    /// Returns what is in it.
    #[must_use]
    pub fn contents(&self) -> &Bytes {
        &self.contents
    }

    /// Returns the permission bits.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode
    }
}

impl fmt::Debug for StagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedFile")
            .field("path", &self.path)
            .field("mode", &format_args!("{:04o}", self.mode))
            .field("len", &self.contents.len())
            .finish()
    }
}

/// Where the contents of a mount come from.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountSource {
    /// A file or directory of the host.
    Host(PathBuf),
    /// A directory that the host makes for the run under this name, and removes with it.
    PrivateToRun(String),
    /// A directory that the host keeps for the workspace under this name, across runs.
    PrivateToWorkspace(String),
}

/// Whether the container may write to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountAccess {
    /// It may only read.
    ReadOnly,
    /// It may read and write.
    ReadWrite,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountConfig {
    source: MountSource,
    target: ContainerPath,
    access: MountAccess,
}

impl MountConfig {
    /// Makes a mount.
    #[must_use]
    pub fn new(source: MountSource, target: ContainerPath, access: MountAccess) -> Self {
        Self { source, target, access }
    }

    /// Returns where the contents come from.
    #[must_use]
    pub fn source(&self) -> &MountSource {
        &self.source
    }

    /// Returns where the mount appears.
    #[must_use]
    pub fn target(&self) -> &ContainerPath {
        &self.target
    }

    /// Returns whether the container may write.
    #[must_use]
    pub fn access(&self) -> MountAccess {
        self.access
    }
}

/// The files and mounts that a provider wants in the container.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerMounts {
    /// Files to stage.
    pub files: Vec<StagedFile>,
    /// Mounts to make.
    pub mounts: Vec<MountConfig>,
}

/// Everything that goes into one container, with who asked for it.
///
/// Two owners that set one variable, or stage one path, with different values are an error that
/// names both (law L3); the same value twice is kept once. [`Staging::replace_env`] is the way for
/// the person's own `--env`.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    env: BTreeMap<String, Owned<EnvVar>>,
    files: BTreeMap<ContainerPath, Owned<StagedFile>>,
    mounts: BTreeMap<ContainerPath, Owned<MountConfig>>,
}

#[derive(Clone, Debug)]
struct Owned<T> {
    owner: String,
    value: T,
}

impl Staging {
    /// Adds variables.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when another owner set one of them to another value.
    pub fn add_env(
        &mut self,
        owner: &CredentialKey,
        env: impl IntoIterator<Item = EnvVar>,
    ) -> Result<()> {
        env.into_iter().try_for_each(|var| {
            insert(&mut self.env, owner, var.name.clone(), var, |name| format!("set {name}"))
        })
    }

    /// Sets a variable in the name of the person, whoever set it before.
    pub fn replace_env(&mut self, var: EnvVar) {
        let owner = "the person".to_owned();
        self.env.insert(var.name.clone(), Owned { owner, value: var });
    }

    /// Adds files and mounts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when another owner staged or mounted something else at a path.
    pub fn add_mounts(&mut self, owner: &CredentialKey, mounts: ContainerMounts) -> Result<()> {
        for file in mounts.files {
            self.check_free(owner, &file.path, self.mounts.get(&file.path))?;
            let path = file.path.clone();
            insert(&mut self.files, owner, path, file, |path| format!("stage {path}"))?;
        }
        for mount in mounts.mounts {
            self.check_free(owner, &mount.target, self.files.get(&mount.target))?;
            let path = mount.target.clone();
            insert(&mut self.mounts, owner, path, mount, |path| format!("mount {path}"))?;
        }
        Ok(())
    }

    fn check_free<T>(
        &self,
        owner: &CredentialKey,
        path: &ContainerPath,
        taken: Option<&Owned<T>>,
    ) -> Result<()> {
        match taken {
            Some(other) => Err(conflict(&other.owner, owner, &format!("claim the path {path}"))),
            None => Ok(()),
        }
    }

    /// Iterates over the variables by name.
    pub fn env(&self) -> impl Iterator<Item = &EnvVar> {
        self.env.values().map(|owned| &owned.value)
    }

    /// Iterates over the files by path.
    pub fn files(&self) -> impl Iterator<Item = &StagedFile> {
        self.files.values().map(|owned| &owned.value)
    }

    /// Iterates over the mounts by path.
    pub fn mounts(&self) -> impl Iterator<Item = &MountConfig> {
        self.mounts.values().map(|owned| &owned.value)
    }
}

fn insert<K: Ord + Clone, V: PartialEq>(
    map: &mut BTreeMap<K, Owned<V>>,
    owner: &CredentialKey,
    key: K,
    value: V,
    both: impl FnOnce(&K) -> String,
) -> Result<()> {
    match map.get(&key) {
        Some(taken) if taken.value == value => Ok(()),
        Some(taken) => Err(conflict(&taken.owner, owner, &both(&key))),
        None => {
            map.insert(key, Owned { owner: owner.to_string(), value });
            Ok(())
        }
    }
}

fn conflict(first: &str, second: &CredentialKey, both: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{first} and {second} both {both}, each in its own way"),
    )
    .with_hint(format!("start the run without {first} or without {second}"))
}
