//! Files that an engine reads, or shows in a container.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::daemon::Ids;
use crate::ContainerSpec;
use crate::sandbox::etc;

/// Where the files of a container are.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// Keeps them beside the run's socket, among what is removed when the run ends.
    pub(super) fn beside(socket: &Path) -> Self {
        Self(socket.with_file_name("stage"))
    }

    /// Returns the path of the file with the container's variables.
    pub(super) fn environment(&self) -> PathBuf {
        self.0.join("environment")
    }

    /// Writes variables where the engine's client reads them; the container does not see the file.
    pub(super) fn write_environment(&self, text: &str) -> io::Result<()> {
        self.write("environment", text, 0o600).map(drop)
    }

    /// Writes files that tell the container who its user is, and returns where each belongs.
    ///
    /// No image knows the ids of a person, and programs end when their user has no name (Node's
    /// `os.userInfo`). Every image knows root, and Podman names a user whose id it keeps.
    pub(super) fn users(
        &self,
        ids: Ids,
        (user, group): (u32, u32),
        spec: &ContainerSpec,
    ) -> io::Result<Vec<(&'static str, PathBuf)>> {
        if user == 0 || !matches!(ids, Ids::Same | Ids::Remapped) {
            return Ok(Vec::new());
        }
        let made = etc::made(spec.run.as_str(), user, group, &spec.home);
        let named = made.into_iter().filter_map(|(path, text)| {
            let name = path.strip_prefix("/etc/").filter(|name| ["passwd", "group"].contains(name));
            Some((path, name?, text))
        });
        named.map(|(path, name, text)| Ok((path, self.write(name, &text, 0o644)?))).collect()
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Way;

    #[test]
    fn a_person_who_is_not_root_has_a_name_in_the_container() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("proxy.sock");
        let way = Way::Socket { path: socket.clone(), port: 3128 };
        let home = "/home/agent".parse().unwrap();
        let spec = ContainerSpec::new("r1".parse().unwrap(), home, vec!["id".into()], way);
        let files = Files::beside(&socket);
        let made = files.users(Ids::Same, (7, 8), &spec).unwrap();
        let [(passwd, users), (group, groups)] = &made[..] else { panic!("{made:?}") };
        assert_eq!((*passwd, *group), ("/etc/passwd", "/etc/group"));
        let users = fs::read_to_string(users).unwrap();
        assert!(users.starts_with("agent:x:7:8:agent:/home/agent:"), "{users}");
        assert!(fs::read_to_string(groups).unwrap().starts_with("agent:x:8:"));
        for (ids, user) in [(Ids::Same, 0), (Ids::Kept, 7), (Ids::OwnDaemon, 7)] {
            assert_eq!(files.users(ids, (user, 8), &spec).unwrap(), [], "{ids:?}");
        }
    }
}
