//! Which files of the host may appear in a sandbox.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use moat_provider_core::MountAccess;

use crate::beneath::{Beneath, MountPoint};
use crate::{Bind, Result, RunError, RunErrorKind};

/// Directories that hold sockets, devices, or everything: neither they nor what holds them.
const NEVER: [&str; 12] = [
    "/", "/run", "/var/run", "/tmp", "/var/tmp", "/proc", "/sys", "/dev", "/etc", "/home", "/root",
    "/boot",
];

/// Directories below which nothing may be bound.
const NEVER_BELOW: [&str; 4] = ["/proc", "/sys", "/dev", "/boot"];

/// How many entries are looked at for sockets, and how deep: enough for a repository with its
/// dependencies.
const ENTRIES: usize = 500_000;
const DEPTH: usize = 24;

/// Returns binds whose sources are real paths, none of which lets the container reach a program of
/// the host.
///
/// # Errors
///
/// [`RunErrorKind::InvalidInput`] with the path that is refused, and why.
pub(super) fn checked(binds: &[Bind], home: Option<&Path>) -> Result<Vec<Bind>> {
    binds.iter().map(|bind| check(bind, home)).collect()
}

fn check(bind: &Bind, home: Option<&Path>) -> Result<Bind> {
    let shown = bind.source.display();
    let source = fs::canonicalize(&bind.source).map_err(|error| {
        refused(format!("{shown} cannot be shown in the sandbox: {error}")).with_source(error)
    })?;
    let protected = NEVER.iter().map(Path::new).chain(home);
    for directory in protected {
        // What a link leads to is protected, too.
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        if directory.starts_with(&source) {
            return Err(refused(format!(
                "{shown} cannot be shown in the sandbox: {} holds what is not the agent's",
                directory.display()
            ))
            .with_hint("mount the directory below it that the agent needs"));
        }
    }
    if NEVER_BELOW.iter().any(|directory| source.starts_with(directory)) {
        return Err(refused(format!("{shown} cannot be shown in the sandbox: it is the system's")));
    }
    let mut left = ENTRIES;
    if let Some(socket) = find_socket(&source, DEPTH, &mut left)
        .map_err(|error| refused(format!("{shown}: {error}")).with_source(error))?
    {
        return Err(refused(format!(
            "{shown} cannot be shown in the sandbox: {} is a socket, by which it would reach a \
             program of the host",
            socket.display()
        ))
        .with_hint(format!(
            "end the program that listens there, or mount a directory without it; if nobody \
             listens any more: rm {}",
            socket.display()
        )));
    }
    Ok(Bind { source, target: bind.target.clone(), access: bind.access })
}

/// Looks for a socket at and below a path, without following links.
fn find_socket(path: &Path, depth: usize, left: &mut usize) -> io::Result<Option<PathBuf>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_socket() {
        return Ok(Some(path.to_owned()));
    }
    if kind.is_dir() { find_below(path, depth, left) } else { Ok(None) }
}

fn find_below(directory: &Path, depth: usize, left: &mut usize) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // What the person cannot read, the container cannot either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        *left = left.saturating_sub(1);
        if *left == 0 {
            return Ok(None);
        }
        let kind = entry.file_type()?;
        if kind.is_socket() {
            return Ok(Some(entry.path()));
        }
        if kind.is_dir()
            && depth > 0
            && let Some(socket) = find_below(&entry.path(), depth - 1, left)?
        {
            return Ok(Some(socket));
        }
    }
    Ok(None)
}

/// Makes the places at which binds appear inside of other binds. In one that is only read they have
/// to be there.
///
/// Bubblewrap makes them by itself, and follows links on the way, while the file system of the host
/// is still there: a link that an earlier run left in a home that is kept, or a repository in the
/// workspace, would have it make files and directories anywhere on the host.
///
/// # Errors
///
/// [`RunErrorKind::InvalidInput`] with the place, when a link or something else is in the way.
pub(super) fn make_mount_points(binds: &[Bind]) -> Result<()> {
    for (at, bind) in binds.iter().enumerate() {
        let around = binds[..at].iter().filter(|outer| bind.target.is_below(&outer.target));
        // Of two at the same place the later one is seen.
        let Some(outer) = around.max_by_key(|outer| outer.target.as_str().len()) else { continue };
        let relative = &bind.target.as_str()[outer.target.as_str().len()..];
        let relative = relative.trim_start_matches('/');
        let what = match bind.source.is_dir() {
            true => MountPoint::Directory,
            false => MountPoint::File,
        };
        let made = Beneath::open(&outer.source).and_then(|directory| match outer.access {
            MountAccess::ReadOnly => directory.is_there(relative),
            MountAccess::ReadWrite => directory.mount_point(relative, what),
        });
        made.map_err(|error| {
            let place = outer.source.join(relative);
            refused(format!(
                "{} cannot appear at {}, because of what is at {}: {error}",
                bind.source.display(),
                bind.target,
                place.display()
            ))
            .with_hint(format!("look for a link on the way: namei {}", place.display()))
            .with_source(error)
        })?;
    }
    Ok(())
}

fn refused(message: String) -> RunError {
    RunError::new(RunErrorKind::InvalidInput, message)
}
