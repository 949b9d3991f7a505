//! Writing what a container is given.

use std::path::{Path, PathBuf};

use moat_provider_core::{ContainerPath, MountAccess, MountSource, StagedFile, Staging};

use crate::beneath::Beneath;
use crate::request::Place;
use crate::spec::Bind;
use crate::state::{StateDir, failed, private_dir};
use crate::{Result, RunError, RunErrorKind, links};

/// Puts staged files and mounts on the disk of the host and says where they appear.
pub(crate) struct Stage<'a> {
    /// The run's own directory.
    pub(crate) directory: PathBuf,
    pub(crate) state: &'a StateDir,
    pub(crate) workspace: &'a Path,
    /// The home directory, on the host and in the container.
    pub(crate) home: (PathBuf, ContainerPath),
    pub(crate) place: &'a Place,
}

impl Stage<'_> {
    /// Writes everything and returns the binds, outer ones first. Files below the home directory
    /// become part of it; each other one is a bind of its own, which the container cannot write to.
    ///
    /// On the host itself nothing can be bound: mounts become links, and what lies elsewhere than in
    /// the home directory and the run's own is refused.
    pub(crate) fn write(&self, staging: &Staging) -> Result<Vec<Bind>> {
        let mut binds = Vec::new();
        for mount in staging.mounts() {
            binds.push(Bind {
                source: self.source(mount.source())?,
                target: mount.target().clone(),
                access: mount.access(),
            });
        }
        for file in staging.files() {
            let around = staging.mounts().find(|mount| file.path().is_below(mount.target()));
            if let Some(mount) = around {
                self.write_into(mount.source(), mount.target(), file)?;
            } else if let Some(relative) = below(file.path(), &self.home.1) {
                write(&self.home.0, relative, file)?;
            } else if *self.place == Place::Host {
                write(&self.directory, self.own(file.path())?, file)?;
            } else {
                let name = format!("file-{}", binds.len());
                write(&self.directory, &name, file)?;
                binds.push(Bind {
                    source: self.directory.join(name),
                    target: file.path().clone(),
                    access: MountAccess::ReadOnly,
                });
            }
        }
        if *self.place == Place::Host {
            return self.link(&binds).map(|()| Vec::new());
        }
        binds.sort_by(|one, other| one.target.cmp(&other.target));
        Ok(binds)
    }

    fn link(&self, binds: &[Bind]) -> Result<()> {
        for bind in binds {
            let relative =
                below(&bind.target, &self.home.1).ok_or_else(|| elsewhere(&bind.target))?;
            Beneath::open(&self.home.0)
                .and_then(|home| home.link(relative, &bind.source))
                .map_err(|error| failed("link", &bind.source, error))?;
        }
        Ok(())
    }

    /// Returns what of a path follows the run's own directory.
    fn own<'p>(&self, path: &'p ContainerPath) -> Result<&'p str> {
        let own = self.directory.to_str().and_then(|own| path.as_str().strip_prefix(own));
        own.and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| elsewhere(path))
    }

    /// Writes a file into a mount that the host makes; one of the person's own is not written to.
    fn write_into(
        &self,
        source: &MountSource,
        target: &ContainerPath,
        file: &StagedFile,
    ) -> Result<()> {
        if matches!(source, MountSource::Host(_)) {
            return Err(RunError::new(
                RunErrorKind::Conflict,
                format!("{} would be written into a mount of the host's files", file.path()),
            ));
        }
        write(&self.source(source)?, below(file.path(), target).unwrap_or_default(), file)
    }

    fn source(&self, source: &MountSource) -> Result<PathBuf> {
        match source {
            MountSource::Host(path) => {
                let path = links::followed(path, self.workspace)?;
                match self.state.is_apart(&path) {
                    true => Ok(path),
                    false => Err(RunError::new(
                        RunErrorKind::InvalidInput,
                        format!(
                            "{} cannot be mounted: moat keeps credentials and runs in {}",
                            path.display(),
                            self.state.path().display()
                        ),
                    )),
                }
            }
            MountSource::PrivateToRun(name) => {
                let path = self.directory.join("mounts").join(plain(name)?);
                private_dir(&path)?;
                Ok(path)
            }
            MountSource::PrivateToWorkspace(name) => {
                self.state.of_workspace(self.workspace, plain(name)?)
            }
            other => Err(RunError::new(
                RunErrorKind::InvalidInput,
                format!("a mount of this kind is not known: {other:?}"),
            )),
        }
    }
}

fn write(directory: &Path, relative: &str, file: &StagedFile) -> Result<()> {
    Beneath::open(directory)
        .and_then(|directory| directory.write(relative, file.contents(), file.permissions()))
        .map_err(|error| failed("stage", Path::new(file.path().as_str()), error))
}

fn elsewhere(path: &ContainerPath) -> RunError {
    RunError::new(
        RunErrorKind::InvalidInput,
        format!("{path} cannot be staged on the host itself: it is outside of the home directory"),
    )
    .with_hint("start the run in a sandbox")
}

/// Returns what of a path follows a directory.
fn below<'p>(path: &'p ContainerPath, directory: &ContainerPath) -> Option<&'p str> {
    path.is_below(directory)
        .then(|| path.as_str()[directory.as_str().len()..].trim_start_matches('/'))
}

/// Refuses a name that would lead elsewhere.
fn plain(name: &str) -> Result<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
        return Ok(name);
    }
    Err(RunError::new(
        RunErrorKind::InvalidInput,
        format!("{name:?} is not the name of a directory that is kept"),
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use moat_provider_core::{ContainerMounts, CredentialKey, MountConfig};

    use super::*;

    fn path(text: &str) -> ContainerPath {
        text.parse().unwrap()
    }

    fn staging(mounts: ContainerMounts) -> Staging {
        let mut staging = Staging::default();
        let owner: CredentialKey = "github".parse().unwrap();
        staging.add_mounts(&owner, mounts).unwrap();
        staging
    }

    #[test]
    fn files_go_into_the_home_into_kept_directories_or_stand_alone() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::new(directory.path().join("state"));
        let (run, home) = (directory.path().join("run"), directory.path().join("home"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&home).unwrap();
        let mut mounts = ContainerMounts::default();
        mounts.files = vec![
            StagedFile::new(path("/home/agent/.config/x"), "in the home"),
            StagedFile::new(path("/home/agent/kept/y"), "in what is kept"),
            StagedFile::new(path("/etc/z"), "alone").mode(0o644),
        ];
        mounts.mounts = vec![MountConfig::new(
            MountSource::PrivateToWorkspace("kept".into()),
            path("/home/agent/kept"),
            MountAccess::ReadWrite,
        )];
        let stage = Stage {
            directory: run.clone(),
            state: &state,
            workspace: Path::new("/w"),
            home: (home.clone(), path("/home/agent")),
            place: &Place::default(),
        };
        let binds = stage.write(&staging(mounts)).unwrap();
        let targets: Vec<_> = binds.iter().map(|bind| bind.target.as_str()).collect();
        assert_eq!(targets, ["/etc/z", "/home/agent/kept"]);
        assert_eq!(fs::read_to_string(home.join(".config/x")).unwrap(), "in the home");
        assert_eq!(fs::read_to_string(binds[1].source.join("y")).unwrap(), "in what is kept");
        assert_eq!(fs::read_to_string(&binds[0].source).unwrap(), "alone");
        assert_eq!(binds[0].access, MountAccess::ReadOnly);
    }

    #[test]
    fn a_mount_of_the_hosts_is_chosen_neither_by_a_link_nor_from_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in ["run", "home", "workspace", "own", "state/credentials"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("../own", root.join("workspace/link")).unwrap();
        let state = StateDir::new(root.join("state"));
        let stage = Stage {
            directory: root.join("run"),
            state: &state,
            workspace: &root.join("workspace"),
            home: (root.join("home"), path("/home/agent")),
            place: &Place::default(),
        };
        let source = |name: &str| stage.source(&MountSource::Host(root.join(name)));
        assert_eq!(source("own").unwrap(), root.join("own"));
        for refused in ["workspace/link", "state/credentials", "absent"] {
            assert_eq!(source(refused).unwrap_err().kind(), RunErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_name_of_a_kept_directory_leads_nowhere_else() {
        for odd in ["", ".", "..", "a/b", "../a", ".hidden", "a b"] {
            plain(odd).unwrap_err();
        }
        plain("claude-projects_1.0").unwrap();
    }
}
