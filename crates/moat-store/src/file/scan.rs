//! What stands in the directories of a home, seen without a key.
//!
//! ```text
//! <home>/key.json                          where the key stands
//! <home>/credentials/<credential>.cred     the default profile
//! <home>/credentials/locks/
//! <home>/credentials/profiles/<profile>/   every other profile, laid out as the default one
//! ```

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use moat_provider_core::CredentialKey;

use super::disk;
use super::fault::{cannot_be, not_ours, too_wide};
use super::format::{HEADER_LEN, Header};
use super::name::{self, RECORD};
use crate::key::KeyId;
use crate::{Profile, Result};

const CREDENTIALS: &str = "credentials";
const PROFILES: &str = "profiles";

/// Returns the directory of all records.
pub(crate) fn credentials(home: &Path) -> PathBuf {
    home.join(CREDENTIALS)
}

/// Returns the directory of a profile.
pub(crate) fn dir_of(home: &Path, profile: &Profile) -> PathBuf {
    let credentials = credentials(home);
    if profile.is_default() {
        credentials
    } else {
        credentials.join(PROFILES).join(name::of_profile(profile))
    }
}

/// Checks the directories that lead to a profile's records. Returns whether they are there.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) when one of them is not this user's alone.
pub(crate) fn check_dirs(home: &Path, profile: &Profile) -> Result<bool> {
    for dir in dirs_to(home, profile) {
        if !disk::check_dir(&dir)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Creates what [`check_dirs`] checks.
///
/// # Errors
///
/// Those of [`check_dirs`], and what the system says.
pub(crate) fn create_dirs(home: &Path, profile: &Profile) -> Result<()> {
    prepare_home(home)?;
    dirs_to(home, profile).iter().try_for_each(|dir| disk::create_dir(dir))
}

fn dirs_to(home: &Path, profile: &Profile) -> Vec<PathBuf> {
    let credentials = credentials(home);
    if profile.is_default() {
        return vec![credentials];
    }
    let profiles = credentials.join(PROFILES);
    vec![credentials, profiles, dir_of(home, profile)]
}

/// Creates the home where there is none. Others may look into it, because what is secret in it is
/// closed by itself, but not write.
///
/// # Errors
///
/// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) when others could write there, and what the
/// system says.
pub(crate) fn prepare_home(home: &Path) -> Result<()> {
    if std::fs::metadata(home).is_err() {
        return disk::create_dir(home);
    }
    check_home(home)
}

#[cfg(unix)]
fn check_home(home: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(home).map_err(|error| cannot_be("read", home, error))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(not_ours(home, metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(too_wide(home, mode, 0o700));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_home(_: &Path) -> Result<()> {
    Ok(())
}

/// Returns the profiles that have a directory, and always the default one, which comes first.
///
/// # Errors
///
/// What the system says.
pub(crate) fn profiles(home: &Path) -> Result<Vec<Profile>> {
    let dir = credentials(home).join(PROFILES);
    let mut profiles = vec![Profile::default()];
    for entry in disk::names_in(&dir)? {
        let is_dir = || std::fs::symlink_metadata(dir.join(&entry)).is_ok_and(|is| is.is_dir());
        profiles.extend(name::profile_of(&entry).filter(|named| !named.is_default() && is_dir()));
    }
    profiles[1..].sort_unstable();
    Ok(profiles)
}

/// Returns the keys of a profile's records in order, by the names of their files.
///
/// # Errors
///
/// What the system says.
pub(crate) fn keys(home: &Path, profile: &Profile) -> Result<Vec<CredentialKey>> {
    let names = disk::names_in(&dir_of(home, profile))?;
    let mut keys: Vec<_> = names.iter().filter_map(|entry| name::key_of(entry)).collect();
    keys.sort_unstable();
    Ok(keys)
}

/// Whether any profile has a record.
///
/// # Errors
///
/// What the system says: a home that cannot be seen is not an empty one.
pub(crate) fn has_records(home: &Path) -> Result<bool> {
    Ok(!record_paths(home)?.is_empty())
}

/// Returns the ids of the keys with which the records of all profiles are encrypted.
///
/// # Errors
///
/// What the system says about the directories. A record that cannot be read says nothing.
pub(crate) fn key_ids(home: &Path) -> Result<BTreeSet<KeyId>> {
    let header = |path: PathBuf| Some(read_header(&path).ok()??.ok()?.key_id);
    Ok(record_paths(home)?.into_iter().filter_map(header).collect())
}

fn record_paths(home: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for profile in profiles(home)? {
        let dir = dir_of(home, &profile);
        let records = disk::names_in(&dir)?.into_iter().filter(|entry| entry.ends_with(RECORD));
        paths.extend(records.map(|entry| dir.join(entry)));
    }
    Ok(paths)
}

/// Reads the header of a record; `None` when there is no such file.
///
/// # Errors
///
/// Those of [`disk::open_private`].
pub(crate) fn read_header(path: &Path) -> Result<Option<Result<Header, super::format::Flaw>>> {
    let Some(file) = disk::open_private(path)? else { return Ok(None) };
    let read = || {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        (&file).take(HEADER_LEN as u64).read_to_end(&mut bytes)?;
        Ok(Header::parse(&bytes, file.metadata()?.len()))
    };
    read().map(Some).map_err(|error| cannot_be("read", path, error))
}
