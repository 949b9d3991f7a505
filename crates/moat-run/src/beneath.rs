//! Writing into directories that a container can write to (law L17): no link is followed, and
//! nothing outside of the directory is touched.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

/// A directory whose contents are foreign.
#[derive(Debug)]
pub(crate) struct Beneath(OwnedFd);

/// What stands where something is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MountPoint {
    /// A directory.
    Directory,
    /// A file.
    File,
}

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Beneath {
    /// Opens a directory that is ours itself.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, root, DIRECTORY, Mode::empty())?))
    }

    /// Writes a file anew; directories on the way are made. What stands in the place of a file, a
    /// link above all, is removed first; what stands in the place of a directory is an error.
    pub(crate) fn write(&self, relative: &str, contents: &[u8], mode: u32) -> io::Result<()> {
        let (parents, name) = match relative.rsplit_once('/') {
            Some((parents, name)) => (Some(parents), name),
            None => (None, relative),
        };
        let directory = match parents {
            Some(parents) => Some(self.descend(parents)?),
            None => None,
        };
        let directory = directory.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        // The mask of the process does not apply to this.
        fchmod(&file, Mode::from_raw_mode(mode))?;
        File::from(file).write_all(contents)
    }

    /// Makes a link to a directory of ours.
    pub(crate) fn link(&self, relative: &str, to: &Path) -> io::Result<()> {
        let (parents, name) = relative.rsplit_once('/').unwrap_or((".", relative));
        let directory = if parents == "." { None } else { Some(self.descend(parents)?) };
        let directory = directory.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(symlinkat(to, directory, name)?)
    }

    /// Makes what something can be mounted upon, unless it is there: a directory, or an empty file.
    pub(crate) fn mount_point(&self, relative: &str, what: MountPoint) -> io::Result<()> {
        if what == MountPoint::Directory {
            return self.descend(relative).map(drop);
        }
        let (parents, name) = relative.rsplit_once('/').unwrap_or((".", relative));
        let directory = if parents == "." { None } else { Some(self.descend(parents)?) };
        let directory = directory.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match openat(directory, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => Err(Errno::LOOP.into()),
            FileType::Directory => Err(Errno::ISDIR.into()),
            _ => Ok(()),
        }
    }

    /// Checks that something is there, and that no link is on the way.
    pub(crate) fn is_there(&self, relative: &str) -> io::Result<()> {
        let mut at: Option<OwnedFd> = None;
        for segment in relative.split('/') {
            let here = at.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(here, segment, flags, Mode::empty())?;
            if FileType::from_raw_mode(fstat(&next)?.st_mode) == FileType::Symlink {
                return Err(Errno::LOOP.into());
            }
            at = Some(next);
        }
        Ok(())
    }

    fn descend(&self, relative: &str) -> io::Result<OwnedFd> {
        let mut at: Option<OwnedFd> = None;
        for segment in relative.split('/') {
            if matches!(segment, "" | "." | "..") {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "an odd path segment"));
            }
            let here = at.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
            match mkdirat(here, segment, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let next = openat(here, segment, DIRECTORY, Mode::empty())?;
            at = Some(next);
        }
        at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty path"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_written_with_its_mode_and_replaces_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        for text in ["one", "two"] {
            beneath.write("a/b/c", text.as_bytes(), 0o640).unwrap();
        }
        let path = root.path().join("a/b/c");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn no_link_is_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = outside.path().join("precious");
        fs::write(&target, "precious").unwrap();
        symlink(&target, root.path().join("file")).unwrap();
        symlink(outside.path(), root.path().join("directory")).unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        beneath.write("file", b"new", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(fs::read_to_string(root.path().join("file")).unwrap(), "new");
        beneath.write("directory/precious", b"new", 0o600).unwrap_err();
        beneath.link("directory/x", outside.path()).unwrap_err();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_mount_point_is_made_and_no_link_is_one() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), root.path().join("link")).unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        for what in [MountPoint::Directory, MountPoint::File] {
            for relative in ["link", "link/x", "link/x/y"] {
                beneath.mount_point(relative, what).unwrap_err();
            }
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        for _ in 0..2 {
            beneath.mount_point("a/b", MountPoint::Directory).unwrap();
            beneath.mount_point("a/c", MountPoint::File).unwrap();
        }
        assert!(root.path().join("a/b").is_dir() && root.path().join("a/c").is_file());
        beneath.mount_point("a/b", MountPoint::File).unwrap_err();
        beneath.is_there("a/c").unwrap();
        for relative in ["link", "link/x", "b"] {
            beneath.is_there(relative).unwrap_err();
        }
        beneath.mount_point("a/c", MountPoint::Directory).unwrap_err();
    }

    #[test]
    fn a_path_stays_inside() {
        let root = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        for odd in ["../x", "a/../x", "./x/y", "/x/y"] {
            beneath.write(odd, b"", 0o600).unwrap_err();
        }
    }
}
