//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};

use moat_provider_core::{Credential, CredentialKey, Secret};
use moat_store::{FileStore, FileStoreBuilder};
use tempfile::TempDir;
use time::OffsetDateTime;

/// Parses a key.
pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

/// Makes a credential with a token.
pub(crate) fn credential(name: &str, token: &Secret) -> Credential {
    Credential::builder(key(name), token.clone(), OffsetDateTime::UNIX_EPOCH).build()
}

/// A home of a store, which goes with the test.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        Self { dir: builder.tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn builder(&self) -> FileStoreBuilder {
        FileStore::builder(self.path())
    }

    /// Opens the default profile, as a process of its own would.
    pub(crate) fn store(&self) -> FileStore {
        self.builder().build()
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.path().join("credentials")
    }

    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.credentials().join(format!("{name}.cred"))
    }

    /// Lists the default profile's directory.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.credentials())
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entry =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(entry).collect();
    names.sort();
    names
}
