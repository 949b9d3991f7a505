//! Reading a file of a workspace (law L17).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::FILE;
use crate::error::{CliError, Result};

/// More is no configuration that a person wrote.
const MAX_BYTES: u64 = 256 * 1024;

/// Reads the file; `None` when there is none. No link is followed, nothing but a regular file is
/// opened for good, and no more is read than the bound.
pub(super) fn read(workspace: &Path) -> Result<Option<String>> {
    let failed = |error: &dyn std::error::Error| {
        CliError::new(format!("{} cannot be read", workspace.join(FILE).display()))
            .with_source(error)
            .with_hint("moat run --no-config")
    };
    let refused = |why: &str| {
        CliError::usage(format!("{} {why}", workspace.join(FILE).display()))
            .with_hint("moat run --no-config")
    };
    let directory = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = openat(CWD, workspace, directory, Mode::empty()).map_err(|error| {
        CliError::usage(format!("{} is no directory to work in", workspace.display()))
            .with_source(&io::Error::from(error))
            .with_hint("moat run --workspace DIR")
    })?;
    // Without NONBLOCK the open of a pipe waits for its other end.
    let plain = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(&root, FILE, plain, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(refused("is a link, which is not followed")),
        Err(error) => return Err(failed(&io::Error::from(error))),
    };
    let found = fstat(&file).map_err(|error| failed(&io::Error::from(error)))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(refused("is no regular file"));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused("is longer than 256 KiB"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| refused("is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_is_read_and_its_absence_is_no_error() {
        let workspace = tempfile::tempdir().unwrap();
        assert_eq!(read(workspace.path()).unwrap(), None);
        fs::write(workspace.path().join(FILE), "x").unwrap();
        assert_eq!(read(workspace.path()).unwrap().as_deref(), Some("x"));
        read(&workspace.path().join("absent")).unwrap_err();
    }

    #[test]
    fn no_link_is_followed_and_nothing_odd_is_opened() {
        let workspace = tempfile::tempdir().unwrap();
        let path = workspace.path().join(FILE);
        fs::write(workspace.path().join("other"), "secret").unwrap();
        symlink("other", &path).unwrap();
        assert!(read(workspace.path()).unwrap_err().message().contains("link"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(workspace.path()).unwrap_err().message().contains("no regular file"));
        fs::remove_dir(&path).unwrap();
        let _socket = UnixListener::bind(&path).unwrap();
        read(workspace.path()).unwrap_err();
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let workspace = tempfile::tempdir().unwrap();
        let path = workspace.path().join(FILE);
        fs::write(&path, vec![b'#'; MAX_BYTES as usize]).unwrap();
        assert!(read(workspace.path()).unwrap().is_some());
        fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        assert!(read(workspace.path()).unwrap_err().message().contains("longer"));
        fs::write(&path, b"\xff").unwrap();
        assert!(read(workspace.path()).unwrap_err().message().contains("UTF-8"));
    }
}
