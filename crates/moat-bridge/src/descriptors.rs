//! Descriptors: which ones are open, and how many may be.

use std::fs;
use std::io;
use std::os::fd::RawFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::close;

/// Closes every descriptor above this one: one that the host's parents left open would be a way out
/// of the sandbox.
///
/// Called before anything is opened, so no owner of a descriptor is robbed of it.
pub(crate) fn close_foreign(last: RawFd) -> io::Result<()> {
    // Collected first: the list itself is read through a descriptor.
    let open: Vec<RawFd> = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("/proc: {error}"))),
    }
    .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > last) {
        // That of the list is closed already.
        _ = close(descriptor);
    }
    Ok(())
}

/// Lets this process open as many as the system allows, and returns how many it might before.
pub(crate) fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(soft)
}
