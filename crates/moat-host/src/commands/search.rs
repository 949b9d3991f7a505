//! Where programs are looked for: `PATH` without what a container can write.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use moat_provider_core::{Error, ErrorKind, Result, escape_line};
use nix::unistd::{AccessFlags, access};

/// Where programs are when `PATH` is not set.
const DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The directories of a `PATH` from which programs may run.
#[derive(Debug)]
pub(super) struct SearchPath<'a> {
    dirs: Vec<PathBuf>,
    workspaces: &'a [PathBuf],
}

impl<'a> SearchPath<'a> {
    /// Takes the entries that are absolute, are there, and lie in no workspace.
    pub(super) fn clean(path: Option<&str>, workspaces: &'a [PathBuf]) -> Self {
        let mut cleaned = Self { dirs: Vec::new(), workspaces };
        let dirs = env::split_paths(path.unwrap_or(DEFAULT))
            .filter(|dir| dir.is_absolute() && cleaned.is_outside(dir))
            .collect();
        cleaned.dirs = dirs;
        cleaned
    }

    /// Returns the directories as the value of a `PATH`.
    pub(super) fn joined(&self) -> OsString {
        // Fails for an entry with a colon, which no entry of a `PATH` has.
        env::join_paths(&self.dirs).unwrap_or_default()
    }

    /// Finds a program by its name, or takes an absolute path.
    pub(super) fn find(&self, program: &str) -> Result<PathBuf> {
        let shown = escape_line(program);
        if program.contains('/') {
            let path = PathBuf::from(program);
            return if path.is_relative() {
                Err(Error::invalid(format!("{shown} is relative to a directory"))
                    .with_hint("name a program that is in PATH, or its absolute path"))
            } else if is_program(&path) && self.is_outside(&path) {
                Ok(path)
            } else {
                Err(Error::new(ErrorKind::CommandNotFound, format!("there is no program {shown}"))
                    .with_hint(format!("look at it with: ls -l '{shown}'")))
            };
        }
        let found = self.dirs.iter().map(|dir| dir.join(program)).filter(|path| is_program(path));
        let mut inside = None;
        for path in found {
            if self.is_outside(&path) {
                return Ok(path);
            }
            inside = Some(path);
        }
        let error = |message| Error::new(ErrorKind::CommandNotFound, message);
        Err(match inside {
            Some(path) => {
                error(format!("{shown} leads into a workspace, where a container can write"))
                    .with_hint(format!(
                        "install {shown} outside of the workspace; now it is {}",
                        escape_line(&path.to_string_lossy())
                    ))
            }
            None => error(format!("{shown} is not installed")).with_hint(format!(
                "install {shown}, or add its directory to PATH; relative directories of PATH and \
                 those in a workspace are not searched"
            )),
        })
    }

    /// Whether a path, with all links followed, is there and lies in no workspace.
    fn is_outside(&self, path: &Path) -> bool {
        path.canonicalize()
            .is_ok_and(|real| !self.workspaces.iter().any(|workspace| real.starts_with(workspace)))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Tree {
        root: tempfile::TempDir,
        workspace: Vec<PathBuf>,
    }

    impl Tree {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let real = root.path().canonicalize().unwrap();
            for dir in ["bin", "other", "work/bin"] {
                fs::create_dir_all(real.join(dir)).unwrap();
            }
            symlink(real.join("work/bin"), real.join("link")).unwrap();
            Self { workspace: vec![real.join("work")], root }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        fn program(&self, path: &str, mode: u32) -> PathBuf {
            let path = self.at(path);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn search(&self, dirs: &[&str]) -> SearchPath<'_> {
            let dirs: Vec<_> = dirs
                .iter()
                .map(|dir| match dir.strip_prefix('@') {
                    Some(dir) => self.at(dir).into_os_string().into_string().unwrap(),
                    None => (*dir).to_owned(),
                })
                .collect();
            SearchPath::clean(Some(&dirs.join(":")), &self.workspace)
        }
    }

    #[test]
    fn only_absolute_directories_outside_of_the_workspace_stay() {
        let tree = Tree::new();
        let dirs = [
            "",
            ".",
            "bin",
            "@work/bin",
            "@work",
            "@link",
            "@bin",
            "@bin/../work/bin",
            "@gone",
            "@other",
        ];
        let search = tree.search(&dirs);
        assert_eq!(search.dirs, [tree.at("bin"), tree.at("other")]);
        let joined = format!("{}:{}", tree.at("bin").display(), tree.at("other").display());
        assert_eq!(search.joined(), *joined);
    }

    #[test]
    fn the_first_program_that_can_run_is_found() {
        let tree = Tree::new();
        fs::create_dir(tree.at("bin/tool")).unwrap();
        let tool = tree.program("other/tool", 0o755);
        assert_eq!(tree.search(&["@bin", "@other"]).find("tool").unwrap(), tool);
        assert_eq!(tree.search(&[]).find(tool.to_str().unwrap()).unwrap(), tool);
    }

    #[test]
    fn what_cannot_run_is_not_installed() {
        let tree = Tree::new();
        tree.program("bin/plain", 0o644);
        tree.program("work/bin/evil", 0o755);
        symlink(tree.at("work/bin/evil"), tree.at("bin/linked")).unwrap();
        let search = tree.search(&["@bin", "@work/bin"]);
        for (program, message) in [
            ("plain", "plain is not installed"),
            ("evil", "evil is not installed"),
            ("linked", "linked leads into a workspace, where a container can write"),
            ("\u{1b}x", "\\u{1b}x is not installed"),
        ] {
            let error = search.find(program).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommandNotFound);
            assert_eq!(error.message(), message);
            assert!(error.hint().is_some());
        }
        let evil = tree.at("work/bin/evil");
        let error = search.find(evil.to_str().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound);
        assert_eq!(search.find("bin/plain").unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_path_that_is_not_set_means_the_usual_directories() {
        assert!(SearchPath::clean(None, &[]).find("sh").is_ok());
        assert!(SearchPath::clean(Some(""), &[]).find("sh").is_err());
    }
}
