//! What a person has agreed to, remembered outside of every workspace.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Ask;
use crate::error::{CliError, Result};

/// More is no consent of ours.
const MAX_BYTES: u64 = 1024 * 1024;

/// What a person has agreed to for one workspace: `consent/HASH.json` in moat's home, mode 0600.
///
/// The name is a hash of the workspace's path. The contents are what was shown, so that consent
/// covers exactly that: a file that asks for more is asked for again, one that asks for less is
/// not.
#[derive(Debug)]
pub(crate) struct Consent {
    workspace: PathBuf,
    path: PathBuf,
    given: Vec<String>,
}

impl Consent {
    /// Reads what was agreed to. What is damaged counts as nothing.
    pub(crate) fn read(home: &Path, workspace: &Path) -> Self {
        let hash = Sha256::digest(workspace.as_os_str().as_bytes());
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = home.join("consent").join(format!("{name}.json"));
        let given = read(&path, workspace).unwrap_or_default();
        Self { workspace: workspace.to_owned(), path, given }
    }

    /// Returns what has not been agreed to yet.
    pub(crate) fn missing<'a>(&self, asks: &'a [Ask]) -> Vec<&'a Ask> {
        asks.iter().filter(|ask| !self.given.iter().any(|given| given == ask.as_str())).collect()
    }

    /// Remembers that the person has agreed to these, and to nothing else.
    pub(crate) fn give(self, asks: &[Ask]) -> Result<()> {
        let given: Vec<_> = asks.iter().map(Ask::as_str).collect();
        let text = json!({ "workspace": self.workspace.to_string_lossy(), "given": given });
        write(&self.path, &format!("{text:#}\n")).map_err(|error| {
            CliError::new(format!("{} cannot be written", self.path.display())).with_source(&error)
        })
    }
}

fn read(path: &Path, workspace: &Path) -> Option<Vec<String>> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_file() || found.len() > MAX_BYTES {
        return None;
    }
    let text: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    if text["workspace"].as_str()? != workspace.to_string_lossy() {
        return None;
    }
    text["given"].as_array()?.iter().map(|ask| ask.as_str().map(str::to_owned)).collect()
}

/// Writes for this user alone; the earlier text is there until the new one is whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::WorkspaceConfig;
    use super::*;

    fn asks(text: &str) -> Vec<Ask> {
        WorkspaceConfig::parse(text).unwrap().asks()
    }

    #[test]
    fn consent_covers_what_was_shown_in_that_workspace_and_no_more() {
        let home = tempfile::tempdir().unwrap();
        let workspace = Path::new("/w/a");
        let little = asks("grants = [\"github\"]\nallow = [\"a.example\"]");
        assert_eq!(Consent::read(home.path(), workspace).missing(&little).len(), 2);
        Consent::read(home.path(), workspace).give(&little).unwrap();
        let consent = Consent::read(home.path(), workspace);
        assert!(consent.missing(&little).is_empty());
        assert!(consent.missing(&little[..1]).is_empty());
        let more = asks("grants = [\"github\", \"aws\"]\nallow = [\"a.example\"]");
        let missing: Vec<_> = consent.missing(&more).iter().map(|ask| ask.as_str()).collect();
        assert_eq!(missing, ["use your credential aws"]);
        assert_eq!(Consent::read(home.path(), Path::new("/w/b")).missing(&little).len(), 2);
    }

    #[test]
    fn what_is_given_replaces_what_was_given_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let workspace = Path::new("/w/a");
        Consent::read(home.path(), workspace).give(&asks("grants = [\"aws\"]")).unwrap();
        let github = asks("grants = [\"github\"]");
        Consent::read(home.path(), workspace).give(&github).unwrap();
        let consent = Consent::read(home.path(), workspace);
        assert!(consent.missing(&github).is_empty());
        assert_eq!(consent.missing(&asks("grants = [\"aws\"]")).len(), 1);
        let mode = fs::metadata(&consent.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let directory = fs::metadata(consent.path.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(directory & 0o777, 0o700);
    }

    #[test]
    fn what_is_damaged_counts_as_nothing() {
        let home = tempfile::tempdir().unwrap();
        let workspace = Path::new("/w/a");
        let asks = asks("grants = [\"github\"]");
        Consent::read(home.path(), workspace).give(&asks).unwrap();
        let path = Consent::read(home.path(), workspace).path;
        fs::write(&path, "{").unwrap();
        assert_eq!(Consent::read(home.path(), workspace).missing(&asks).len(), 1);
    }
}
