//! Locks of the operating system: they end with the process that holds them, however it ends.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};

use super::disk::open_for_lock;
use super::fault::{cannot_be, quoted};
use crate::{Result, StoreError, StoreErrorKind};

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes a lock, or returns `None` when another task or process has it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open_for_lock(path)?;
        match FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot_be("locked", path, error)),
        }
    }

    /// Waits for a lock, but not for ever: a process that was stopped keeps its locks.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Io`] when the time is up, and what the system says.
    pub(crate) fn take(path: &Path, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::new(
                    StoreErrorKind::Io,
                    format!(
                        "another process has held {} for more than {} seconds",
                        path.display(),
                        limit.as_secs()
                    ),
                )
                .with_hint(format!("fuser -v {}", quoted(path))));
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own waits for other processes, which no fake clock moves"
            )]
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Returns the file that is locked.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    /// Gives the lock back also where a child that was just forked still has the file open.
    fn drop(&mut self) {
        // Closing the file is what is left when this fails.
        let _ = FileExt::unlock(&self.0);
    }
}
