//! The process of a run: found by its number, recognised by the lock that it holds.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{CliError, Result};

/// The process of a run. The number of a process that ended may be given to another one, which this
/// never is.
#[derive(Debug)]
pub(super) struct Owner {
    pid: u32,
    handle: OwnedFd,
}

impl Owner {
    /// Finds the process; `None` when it is not there, or does not hold the lock.
    ///
    /// # Errors
    ///
    /// When the system does not let us look.
    pub(super) fn find(pid: u32, lock: &Path) -> Result<Option<Self>> {
        let Some(native) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        // Before the look: from here on the number cannot come to mean another process.
        let handle = match pidfd_open(native, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(failed("is not found", pid, error)),
        };
        Ok(holds(pid, lock).then_some(Self { pid, handle }))
    }

    /// Sends a signal; nothing happens when the process has ended.
    ///
    /// # Errors
    ///
    /// When the system refuses that.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(failed("cannot be signalled", self.pid, error)),
        }
    }
}

/// Whether a process of this user has this file open. The descriptors of another user's process
/// cannot be listed.
fn holds(pid: u32, lock: &Path) -> bool {
    let Ok(lock) = fs::metadata(lock) else { return false };
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        fs::metadata(descriptor.path())
            .is_ok_and(|open| (open.dev(), open.ino()) == (lock.dev(), lock.ino()))
    })
}

fn failed(what: &str, pid: u32, error: Errno) -> CliError {
    CliError::new(format!("the process {pid} of the run {what}"))
        .with_source(&std::io::Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_owner_only_while_it_has_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("lock");
        let own = std::process::id();
        assert!(Owner::find(own, &lock).unwrap().is_none(), "there is no lock");
        let file = fs::File::create(&lock).unwrap();
        assert!(Owner::find(own, &lock).unwrap().is_some());
        let parent = std::os::unix::process::parent_id();
        assert!(Owner::find(parent, &lock).unwrap().is_none(), "another process");
        drop(file);
        assert!(Owner::find(own, &lock).unwrap().is_none());
        assert!(Owner::find(0, &lock).unwrap().is_none());
        assert!(Owner::find(u32::MAX, &lock).unwrap().is_none());
    }
}
