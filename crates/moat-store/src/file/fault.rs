//! What the system's refusals mean for a person.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::{StoreError, StoreErrorKind};

/// Turns a refusal of the system into an error of the store.
///
/// `doing` completes the sentence "… cannot be", as in "read" or "written".
pub(crate) fn cannot_be(doing: &str, path: &Path, error: io::Error) -> StoreError {
    let shown = path.display();
    let (kind, why, hint) = match error.kind() {
        ErrorKind::PermissionDenied => (
            StoreErrorKind::NotPermitted,
            "the system does not permit it".to_owned(),
            format!("ls -ld {}", quoted(path)),
        ),
        ErrorKind::ReadOnlyFilesystem => (
            StoreErrorKind::NotPermitted,
            "the file system is read-only".to_owned(),
            format!("findmnt --target {}", quoted(path)),
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            StoreErrorKind::NoSpace,
            "the disk is full".to_owned(),
            format!("df -h {}", quoted(path.parent().unwrap_or(path))),
        ),
        ErrorKind::FileTooLarge => (
            StoreErrorKind::NoSpace,
            "the file would become larger than a limit".to_owned(),
            "ulimit -f".to_owned(),
        ),
        _ if is_link(&error) => return not_regular(path, "a symbolic link"),
        _ => (StoreErrorKind::Io, error.to_string(), format!("ls -ld {}", quoted(path))),
    };
    StoreError::new(kind, format!("{shown} cannot be {doing}: {why}"))
        .with_hint(hint)
        .with_source(error)
}

/// Makes the error for something that is not the file or directory that belongs there.
pub(crate) fn not_regular(path: &Path, what: impl Display) -> StoreError {
    StoreError::new(
        StoreErrorKind::NotPermitted,
        format!("{} is {what}, and is not followed", path.display()),
    )
    .with_hint(format!("ls -ld {}", quoted(path)))
}

/// Makes the error for something that others could read or change.
pub(crate) fn too_wide(path: &Path, mode: u32, wanted: u32) -> StoreError {
    StoreError::new(
        StoreErrorKind::NotPermitted,
        format!("{} is open to others: its mode is {mode:04o}", path.display()),
    )
    .with_hint(format!("chmod {wanted:o} {}", quoted(path)))
}

/// Makes the error for something that another user owns.
pub(crate) fn not_ours(path: &Path, owner: u32) -> StoreError {
    StoreError::new(
        StoreErrorKind::NotPermitted,
        format!("{} belongs to another user (uid {owner})", path.display()),
    )
    .with_hint(format!("sudo chown \"$(id -u)\" {}", quoted(path)))
}

/// Writes a path so that a shell takes it for one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b")), "'/a b'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
        assert_eq!(quoted(Path::new("/$(x)")), "'/$(x)'");
    }

    #[test]
    fn every_refusal_has_a_kind_and_a_hint() {
        let kinds = [
            (ErrorKind::PermissionDenied, StoreErrorKind::NotPermitted),
            (ErrorKind::ReadOnlyFilesystem, StoreErrorKind::NotPermitted),
            (ErrorKind::StorageFull, StoreErrorKind::NoSpace),
            (ErrorKind::QuotaExceeded, StoreErrorKind::NoSpace),
            (ErrorKind::FileTooLarge, StoreErrorKind::NoSpace),
            (ErrorKind::Other, StoreErrorKind::Io),
        ];
        for (given, expected) in kinds {
            let error = cannot_be("written", Path::new("/x"), given.into());
            assert_eq!(error.kind(), expected);
            assert!(error.hint().is_some());
        }
    }
}
