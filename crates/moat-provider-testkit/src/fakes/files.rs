//! Files of a person who does not exist.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use moat_provider_core::{BoxFuture, Error, ErrorKind, FileSystem, HostFile, Result, Secret};

use super::script::lock;

/// The files of a person, by the names of the [`HostFile`]s.
///
/// A file that was not put here is not there, and reading it is no failure; what was read is
/// remembered.
#[derive(Default)]
pub struct FakeFiles {
    files: BTreeMap<String, Option<Secret>>,
    forbidden: bool,
    reads: Mutex<Vec<String>>,
}

impl FakeFiles {
    /// Begins without any file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a file system in which every read fails the test.
    #[must_use]
    pub fn forbidden() -> Self {
        Self { forbidden: true, ..Self::default() }
    }

    /// Puts a file.
    #[must_use]
    pub fn file(mut self, file: &HostFile, contents: Secret) -> Self {
        self.files.insert(file.name().to_owned(), Some(contents));
        self
    }

    /// Puts a file that cannot be read.
    #[must_use]
    pub fn unreadable(mut self, file: &HostFile) -> Self {
        self.files.insert(file.name().to_owned(), None);
        self
    }

    /// Returns the names of the files that were read, in order.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        lock(&self.reads).clone()
    }
}

impl FileSystem for FakeFiles {
    fn read<'a>(&'a self, file: &'a HostFile) -> BoxFuture<'a, Result<Option<Secret>>> {
        Box::pin(async move {
            let name = file.name();
            assert!(
                !self.forbidden,
                "the file system was asked for {name}, which this test forbids"
            );
            lock(&self.reads).push(name.to_owned());
            match self.files.get(name) {
                Some(Some(contents)) => Ok(Some(contents.clone())),
                Some(None) => Err(Error::new(
                    ErrorKind::Io,
                    format!("{name} cannot be read: permission denied"),
                )),
                None => Ok(None),
            }
        })
    }
}

impl fmt::Debug for FakeFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeFiles").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}
