//! Removing what a container has left.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, chmod, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// How many names of a directory are read at once.
const BATCH: usize = 1024;

/// Removes a directory of ours with all that is in it, which may be a container's: no link is
/// followed, directories that forbid to remove what is in them are opened up first (caches of Go's
/// modules are such), and neither stack nor descriptors grow with the depth.
///
/// That there is none is no error.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = match openat(CWD, path, flags, Mode::empty()) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut moved = 0;
    loop {
        let names = names(root.as_fd())?;
        if names.is_empty() {
            return Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?);
        }
        for name in &names {
            match open(root.as_fd(), name)? {
                None => unlinkat(&root, name, AtFlags::empty())?,
                Some(directory) => {
                    empty(directory.as_fd(), root.as_fd(), &mut moved)?;
                    unlinkat(&root, name, AtFlags::REMOVEDIR)?;
                }
            }
        }
    }
}

/// Removes the files of a directory, and moves the directories in it up into the root.
fn empty(directory: BorrowedFd<'_>, root: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            // A directory that is not writable cannot be moved either.
            match open(directory, name)? {
                None => unlinkat(directory, name, AtFlags::empty())?,
                Some(_) => move_up(directory, name, root, moved)?,
            }
        }
    }
}

fn move_up(
    directory: BorrowedFd<'_>,
    name: &CString,
    root: BorrowedFd<'_>,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        *moved += 1;
        match renameat(directory, name, root, format!("removed-{moved}")) {
            // There is one of that name.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            result => return Ok(result?),
        }
    }
}

/// Opens what is a directory, with the right to change what is in it.
fn open(around: BorrowedFd<'_>, name: &CString) -> io::Result<Option<OwnedFd>> {
    let found = statat(around, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(None);
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if !Mode::from_raw_mode(found.st_mode).contains(Mode::RWXU) {
        // By the descriptor, so that it is this directory whatever becomes of its name.
        let handle = openat(around, name, flags | OFlags::PATH, Mode::empty())?;
        chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?;
    }
    Ok(Some(openat(around, name, flags | OFlags::RDONLY, Mode::empty())?))
}

fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn everything_goes_and_nothing_outside() {
        let directory = tempfile::tempdir().unwrap();
        let (root, outside) = (directory.path().join("root"), directory.path().join("outside"));
        fs::create_dir_all(root.join("home/a/b")).unwrap();
        fs::create_dir_all(root.join("removed-1/x")).unwrap();
        fs::create_dir_all(root.join("home/removed-2/y")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "").unwrap();
        symlink(&outside, root.join("home/a/link")).unwrap();
        symlink(&outside, root.join("link")).unwrap();
        (0..2 * BATCH).for_each(|n| fs::write(root.join(format!("home/{n}")), "").unwrap());
        remove_tree(&root).unwrap();
        assert!(!root.exists() && outside.join("precious").exists());
        remove_tree(&root).unwrap();
        symlink(&outside, &root).unwrap();
        remove_tree(&root).unwrap_err();
    }

    #[test]
    fn directories_that_forbid_it_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("go/pkg/mod")).unwrap();
        fs::write(root.join("go/pkg/mod/file"), "").unwrap();
        for (path, mode) in [("go/pkg/mod", 0o555), ("go/pkg", 0o000), ("go", 0o500)] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut at = openat(CWD, &root, flags, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", flags, Mode::empty()).unwrap();
        }
        let work = move || remove_tree(&root).map(|()| root);
        let small = std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap();
        assert!(!small.join().unwrap().unwrap().exists());
    }
}
