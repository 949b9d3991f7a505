//! Directories and files of the host that a run shows beside its workspace.

use std::io;
use std::path::{Component, Path, PathBuf};

use moat_run::Bind;

use crate::args::MountSpec;
use crate::error::{CliError, Result};

/// Returns what a person has typed as a bind.
///
/// # Errors
///
/// When it is not there, and when a link of the workspace leads out of it: a repository, or an
/// earlier run, would choose what is shown.
pub(super) fn typed(mount: &MountSpec, workspace: &Path) -> Result<Bind> {
    let path = std::path::absolute(&mount.source).map_err(|error| failed(mount, &error))?;
    let (source, by_foreign_link) =
        followed(&path, workspace).map_err(|error| failed(mount, &error))?;
    if by_foreign_link && !source.starts_with(workspace) {
        return Err(CliError::usage(format!(
            "{} cannot be mounted: a link in the workspace leads to {}",
            mount.source.display(),
            source.display()
        ))
        .with_hint("look at the link, and name what it leads to if that shall be shown"));
    }
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

/// Follows the links of an absolute path; returns where it leads, and whether a link that stands in
/// the workspace had a part in that.
fn followed(path: &Path, workspace: &Path) -> io::Result<(PathBuf, bool)> {
    let (mut at, mut foreign) = (PathBuf::from("/"), false);
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                let next = at.join(name);
                if next.symlink_metadata()?.is_symlink() {
                    foreign |= at.starts_with(workspace);
                    at = next.canonicalize()?;
                } else {
                    at = next;
                }
            }
            Component::ParentDir => _ = at.pop(),
            _ => {}
        }
    }
    Ok((at, foreign))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use moat_provider_core::MountAccess;

    use super::*;

    fn spec(source: &Path) -> MountSpec {
        let target = "/shown".parse().unwrap();
        MountSpec { source: source.to_owned(), target, access: MountAccess::ReadOnly }
    }

    #[test]
    fn no_link_of_the_workspace_chooses_what_is_shown() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (workspace, private) = (root.join("workspace"), root.join("private"));
        for directory in [workspace.join("data"), private.join("keys")] {
            fs::create_dir_all(directory).unwrap();
        }
        symlink("../private", workspace.join("out")).unwrap();
        symlink("data", workspace.join("in")).unwrap();
        symlink(&private, root.join("own")).unwrap();
        for path in ["out", "out/keys", "data/../out", "in/../out/keys"] {
            let error = typed(&spec(&workspace.join(path)), &workspace).unwrap_err();
            assert!(error.message().contains("a link in the workspace"), "{path}: {error:?}");
        }
        for (path, source) in [
            ("workspace/data", "workspace/data"),
            ("workspace/in", "workspace/data"),
            ("workspace/../private/keys", "private/keys"),
            ("own/keys", "private/keys"),
        ] {
            let bind = typed(&spec(&root.join(path)), &workspace).unwrap();
            assert_eq!(bind.source, root.join(source), "{path}");
        }
        typed(&spec(&root.join("absent")), &workspace).unwrap_err();
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
