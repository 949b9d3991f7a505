//! The key in a file.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyLookup, KeySource, MasterKey, forgetful};
use crate::file::disk;
use crate::file::fault::quoted;
use crate::{Result, StoreError, StoreErrorKind};

/// The master key in a file that only this user can read.
///
/// Whoever can read this file and the records can read the credentials: it protects a backup of the
/// records alone, and nothing against another program of the same user.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// Uses the file `master.key` in the store's home.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self(home.join("master.key"))
    }

    /// Uses this file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl KeySource for KeyFile {
    fn name(&self) -> &str {
        "file"
    }

    fn describe(&self) -> String {
        format!("the key file {}", self.0.display())
    }

    fn load(&self) -> Result<KeyLookup> {
        let Some(bytes) = disk::read_private(&self.0)?.map(Zeroizing::new) else {
            return Ok(KeyLookup::Absent);
        };
        let key = str::from_utf8(&bytes).ok().and_then(MasterKey::from_text);
        key.map(KeyLookup::Found).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::KeyUnavailable,
                format!("the key file {} is damaged", self.0.display()),
            )
            .with_hint(format!("ls -l {}", quoted(&self.0)))
        })
    }

    fn create(&self, key: &MasterKey) -> Result<()> {
        if disk::open_private(&self.0)?.is_some() {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                format!("there is a key file {} already", self.0.display()),
            )
            .with_hint(format!("ls -l {}", quoted(&self.0))));
        }
        let mut line = Zeroizing::new(Vec::with_capacity(128));
        line.extend_from_slice(key.to_text().as_bytes());
        line.push(b'\n');
        disk::replace(&self.0, &disk::with_ending(&self.0, ".tmp"), &line)?;
        match self.load()? {
            KeyLookup::Found(found) if found.id() == key.id() => Ok(()),
            _ => Err(forgetful(self)),
        }
    }
}
