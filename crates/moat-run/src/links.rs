//! Links on the way to what a run shows.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{Result, RunError, RunErrorKind};

/// Follows the links of a path to what is to be shown.
///
/// # Errors
///
/// [`RunErrorKind::InvalidInput`] when it is not there, and when a link of the workspace leads out of
/// it: a repository, or an earlier run, would choose what is shown.
pub(crate) fn followed(path: &Path, workspace: &Path) -> Result<PathBuf> {
    let refused = |why: String| {
        let message = format!("{} cannot be mounted: {why}", path.display());
        RunError::new(RunErrorKind::InvalidInput, message)
    };
    let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let (real, by_foreign_link) =
        follow(path, &workspace).map_err(|error| refused(error.to_string()).with_source(error))?;
    if by_foreign_link && !real.starts_with(&workspace) {
        return Err(refused(format!("a link in the workspace leads to {}", real.display()))
            .with_hint("look at the link, and name what it leads to if that shall be shown"));
    }
    Ok(real)
}

/// Returns where a path leads, and whether a link that stands in the workspace had a part in that.
fn follow(path: &Path, workspace: &Path) -> io::Result<(PathBuf, bool)> {
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

    use super::*;

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
        symlink("out", workspace.join("twice")).unwrap();
        symlink(&private, root.join("own")).unwrap();
        for path in ["out", "out/keys", "data/../out", "in/../out/keys", "twice"] {
            let error = followed(&workspace.join(path), &workspace).unwrap_err();
            assert!(error.message().contains("a link in the workspace"), "{path}: {error:?}");
        }
        for (path, source) in [
            ("workspace/data", "workspace/data"),
            ("workspace/in", "workspace/data"),
            ("workspace/../private/keys", "private/keys"),
            ("own/keys", "private/keys"),
        ] {
            assert_eq!(
                followed(&root.join(path), &workspace).unwrap(),
                root.join(source),
                "{path}"
            );
        }
        followed(&root.join("absent"), &workspace).unwrap_err();
    }
}
