//! Whether the command is in the sandbox, and what to do when it is only on the host.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::{Bind, ContainerSpec, RunError, RunErrorKind};

/// Trees of the host that every sandbox has.
pub(super) const SYSTEM: [&str; 7] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Returns the error about a command that is on the person's path, but not in the sandbox.
///
/// A command that is nowhere is not found by this, but by the bridge. `path` is the person's
/// `PATH`.
pub(super) fn only_on_the_host(spec: &ContainerSpec, path: Option<&OsStr>) -> Option<RunError> {
    let name = spec.command.first()?;
    if name.contains('/') || inside(spec, name) {
        return None;
    }
    let found = std::env::split_paths(path?).map(|directory| directory.join(name));
    let found = found.into_iter().find(|program| program.is_file())?;
    let real = std::fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
    let (real, found) = (real.display(), found.display());
    let place = if real.to_string() == found.to_string() {
        format!("{name} is at {found}")
    } else {
        format!("{name} is at {found}, which leads to {real}")
    };
    Some(
        RunError::new(
            RunErrorKind::InvalidInput,
            format!("{place}: that is not in the sandbox, which has the directories under /usr"),
        )
        .with_hint(format!("show it there, read-only: --tool {name}")),
    )
}

/// Whether a program is on the path of the sandbox, and what it leads to is in it.
fn inside(spec: &ContainerSpec, name: &str) -> bool {
    let path = spec.env.iter().find(|var| var.name() == "PATH");
    let path = path.map_or("", |var| var.value());
    path.split(':').filter(|directory| directory.starts_with('/')).any(|directory| {
        let program = on_host(&spec.binds, &Path::new(directory).join(name));
        let real = program.and_then(|program| std::fs::canonicalize(program).ok());
        real.is_some_and(|real| is_shown(&spec.binds, &real))
    })
}

/// Returns where on the host a path of the sandbox comes from, if it does.
fn on_host(binds: &[Bind], path: &Path) -> Option<PathBuf> {
    for bind in binds.iter().rev() {
        if let Ok(rest) = path.strip_prefix(bind.target.as_str()) {
            // Joined with nothing, the path of a file would be that of a directory.
            let is_itself = rest.as_os_str().is_empty();
            return Some(if is_itself { bind.source.clone() } else { bind.source.join(rest) });
        }
    }
    SYSTEM.iter().any(|tree| path.starts_with(tree)).then(|| path.to_owned())
}

/// Whether a path of the host is shown at the same place.
fn is_shown(binds: &[Bind], path: &Path) -> bool {
    SYSTEM.iter().any(|tree| path.starts_with(tree))
        || binds.iter().any(|bind| path.starts_with(&bind.source))
}
