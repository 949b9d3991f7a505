//! Directories and files of the host that a run shows beside its workspace.

use std::io;

use moat_run::Bind;

use crate::args::MountSpec;
use crate::error::{CliError, Result};

/// Returns what a person has typed as a bind.
///
/// # Errors
///
/// When it is not there.
pub(super) fn typed(mount: &MountSpec) -> Result<Bind> {
    // The run follows the links, and refuses those of the workspace that lead out of it.
    let source = std::path::absolute(&mount.source).map_err(|error| failed(mount, &error))?;
    source.metadata().map_err(|error| failed(mount, &error))?;
    Ok(Bind { source, target: mount.target.clone(), access: mount.access })
}

/// Returns what a workspace's file asks for as a bind. Its path is the one that the person has
/// agreed to, without links.
///
/// # Errors
///
/// When it is not there, or has become a link since.
pub(super) fn asked(mount: &MountSpec) -> Result<Bind> {
    let source = mount.source.canonicalize().map_err(|error| failed(mount, &error))?;
    if source != mount.source {
        let changed = io::Error::other("it leads elsewhere than it did when you were asked");
        return Err(failed(mount, &changed));
    }
    Ok(Bind { source, target: mount.target.clone(), access: mount.access })
}

fn failed(mount: &MountSpec, error: &dyn std::error::Error) -> CliError {
    CliError::usage(format!("{} cannot be mounted", mount.source.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use moat_provider_core::MountAccess;

    use super::*;

    fn spec(source: &Path) -> MountSpec {
        let target = "/shown".parse().unwrap();
        MountSpec { source: source.to_owned(), target, access: MountAccess::ReadOnly }
    }

    #[test]
    fn what_became_a_link_after_the_question_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (data, private) = (root.join("data"), root.join("private"));
        fs::create_dir(&data).unwrap();
        fs::create_dir(&private).unwrap();
        assert_eq!(asked(&spec(&data)).unwrap().source, data);
        fs::remove_dir(&data).unwrap();
        symlink(&private, &data).unwrap();
        asked(&spec(&data)).unwrap_err();
    }
}
