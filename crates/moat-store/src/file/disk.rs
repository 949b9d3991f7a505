//! Files that only this user can read: checked when opened, replaced as a whole.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::fault::{cannot_be, not_regular};
use crate::Result;

/// The largest file that is read: a record holds tokens, not data.
const MAX_LEN: u64 = 4 << 20;

/// Opens a file of this user's that nobody else can read; `None` when there is none.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) when it is a link or no file, belongs to
/// another user or is open to others.
pub(crate) fn open_private(path: &Path) -> Result<Option<File>> {
    let Some((file, metadata)) = open_regular(path)? else { return Ok(None) };
    check_private(path, &metadata, 0o600)?;
    Ok(Some(file))
}

/// Opens a file that is no link and no device; `None` when there is none.
fn open_regular(path: &Path) -> Result<Option<(File, Metadata)>> {
    let mut options = OpenOptions::new();
    options.read(true);
    let file = match without_following(&mut options).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_be("read", path, error)),
    };
    let metadata = file.metadata().map_err(|error| cannot_be("read", path, error))?;
    if !metadata.is_file() {
        return Err(not_regular(path, "not a regular file"));
    }
    Ok(Some((file, metadata)))
}

/// Reads the whole of a regular file, whoever else can read it.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) when it is a link or no file, and what the
/// system says.
#[cfg(feature = "import")]
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>> {
    match open_regular(path)? {
        Some((file, _)) => read_all(path, file),
        None => Err(cannot_be("read", path, ErrorKind::NotFound.into())),
    }
}

/// Reads the whole of a file that [`open_private`] opens.
///
/// # Errors
///
/// Those of [`open_private`], and [`Io`](crate::StoreErrorKind::Io).
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>> {
    open_private(path)?.map(|file| read_all(path, file)).transpose()
}

/// Reads the whole of an open file into a buffer that is not moved while it grows, as long as the
/// file does not.
fn read_all(path: &Path, file: File) -> Result<Vec<u8>> {
    let read = || {
        let len = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(len.min(MAX_LEN)).unwrap_or(0) + 1);
        (&file).take(MAX_LEN + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_LEN {
            return Err(io::Error::other("it is too large to be one of this program's"));
        }
        Ok(bytes)
    };
    read().map_err(|error| cannot_be("read", path, error))
}

/// Replaces a file as a whole, or leaves it as it was: whoever reads it meanwhile, or after this
/// process was killed, finds the old content or the new one.
///
/// `temporary` stands in the same directory, and belongs to whoever holds the lock under which this
/// is called; what a killed writer left there is overwritten.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted),
/// [`NoSpace`](crate::StoreErrorKind::NoSpace) and [`Io`](crate::StoreErrorKind::Io).
pub(crate) fn replace(path: &Path, temporary: &Path, content: &[u8]) -> Result<()> {
    let written = write_new(temporary, content).and_then(|()| fs::rename(temporary, path));
    if let Err(error) = written {
        // The disk may be full, so what was written so far makes room again.
        let _ = fs::remove_file(temporary);
        return Err(cannot_be("written", path, error));
    }
    sync_dir_of(path).map_err(|error| cannot_be("written to the disk for good", path, error))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    remove_if_there(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = private(&mut options).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Removes a file for good. Returns whether there was one.
///
/// # Errors
///
/// What the system says.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    let removed = || match remove_if_there(path)? {
        true => sync_dir_of(path).map(|()| true),
        false => Ok(false),
    };
    removed().map_err(|error| cannot_be("removed", path, error))
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a file for a lock, and creates it when it is not there.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted),
/// [`NoSpace`](crate::StoreErrorKind::NoSpace) and [`Io`](crate::StoreErrorKind::Io).
pub(crate) fn open_for_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(without_following(&mut options))
        .open(path)
        .map_err(|error| cannot_be("opened", path, error))
}

/// Creates a directory that only this user can enter, and those above it, and checks it.
///
/// # Errors
///
/// Those of [`check_dir`], and what the system says.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    private_dir(&mut builder).create(path).map_err(|error| cannot_be("created", path, error))?;
    check_dir(path).map(|_| ())
}

/// Checks that a directory belongs to this user and nobody else can enter it. Returns whether it is
/// there.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) when it is a link or no directory, belongs
/// to another user or is open to others.
pub(crate) fn check_dir(path: &Path) -> Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(cannot_be("read", path, error)),
    };
    if metadata.is_symlink() {
        return Err(not_regular(path, "a symbolic link"));
    }
    if !metadata.is_dir() {
        return Err(not_regular(path, "not a directory"));
    }
    check_private(path, &metadata, 0o700)?;
    Ok(true)
}

/// Returns the names in a directory, in order; none when there is no such directory. Names that are
/// not Unicode are nobody's here.
///
/// # Errors
///
/// What the system says.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>> {
    let names = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    };
    match names() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cannot_be("listed", path, error)),
        Ok(names) => Ok(names),
    }
}

/// Returns a path with an ending added to its name.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(ending);
    text.into()
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    use crate::Result;
    use crate::file::fault::{not_ours, too_wide};

    pub(super) fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
        // Without NONBLOCK the opening of a FIFO waits for a writer.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed())
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    pub(super) fn private_dir(builder: &mut DirBuilder) -> &mut DirBuilder {
        builder.mode(0o700)
    }

    pub(super) fn check_private(path: &Path, metadata: &Metadata, wanted: u32) -> Result<()> {
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(not_ours(path, metadata.uid()));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(too_wide(path, mode, wanted));
        }
        Ok(())
    }

    pub(super) fn sync_dir_of(path: &Path) -> io::Result<()> {
        let Some(dir) = path.parent() else { return Ok(()) };
        match File::open(dir)?.sync_all() {
            // Some network file systems know no such thing.
            Err(error)
                if [Errno::INVAL, Errno::NOTSUP]
                    .iter()
                    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

/// Windows keeps a home directory to its user without our doing, and has no modes.
#[cfg(not(unix))]
mod system {
    use std::fs::{DirBuilder, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    use crate::Result;

    pub(super) fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::custom_flags(
            options,
            // FILE_FLAG_OPEN_REPARSE_POINT
            0x0020_0000,
        );
        options
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn private_dir(builder: &mut DirBuilder) -> &mut DirBuilder {
        builder
    }

    pub(super) fn check_private(_: &Path, _: &Metadata, _: u32) -> Result<()> {
        Ok(())
    }

    pub(super) fn sync_dir_of(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

use self::system::{private, private_dir, sync_dir_of, without_following};

/// Checks that a file or directory belongs to this user and is closed to all others.
pub(crate) fn check_private(path: &Path, metadata: &Metadata, wanted: u32) -> Result<()> {
    system::check_private(path, metadata, wanted)
}
