//! What the store does with its files. Everything here blocks.

use std::fs;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moat_provider_core::{Credential, CredentialKey};

use super::fault::cannot_be;
use super::lock::Lock;
use super::{disk, format, name, record, scan};
use crate::key::{KeyRing, Purpose, RecordKey};
use crate::{
    Entry, Expect, Generation, Lease, Profile, Result, StoreError, StoreErrorKind, Stored,
};

/// How long a writer waits for the others of one credential, who need milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
const LOCKS: &str = "locks";

/// One profile of a home.
#[derive(Debug)]
pub(super) struct Operations {
    home: PathBuf,
    profile: Profile,
    key_ring: Arc<KeyRing>,
}

/// The files of one credential.
struct Files {
    record: PathBuf,
    temporary: PathBuf,
    lock: PathBuf,
    lease: PathBuf,
}

impl Operations {
    pub(super) fn new(home: PathBuf, profile: Profile, key_ring: Arc<KeyRing>) -> Self {
        Self { home, profile, key_ring }
    }

    pub(super) fn in_profile(&self, profile: Profile) -> Self {
        Self::new(self.home.clone(), profile, Arc::clone(&self.key_ring))
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(super) fn key_ring(&self) -> &KeyRing {
        &self.key_ring
    }

    fn files(&self, key: &CredentialKey) -> Result<Files> {
        let name = name::of_key(key)?;
        let dir = scan::dir_of(&self.home, &self.profile);
        let locks = dir.join(LOCKS);
        Ok(Files {
            record: dir.join(format!("{name}{}", name::RECORD)),
            temporary: dir.join(format!("{name}.tmp")),
            lock: locks.join(format!("{name}.lock")),
            lease: locks.join(format!("{name}.lease")),
        })
    }

    fn record_key(&self, purpose: Purpose) -> Result<RecordKey> {
        Ok(self.key_ring.open(purpose)?.key.record_key(&self.profile))
    }

    fn create_dirs(&self) -> Result<()> {
        scan::create_dirs(&self.home, &self.profile)?;
        disk::create_dir(&scan::dir_of(&self.home, &self.profile).join(LOCKS))
    }

    pub(super) fn profiles(&self) -> Result<Vec<Profile>> {
        scan::profiles(&self.home)
    }

    pub(super) fn names(&self) -> Result<Vec<CredentialKey>> {
        if !scan::check_dirs(&self.home, &self.profile)? {
            return Ok(Vec::new());
        }
        scan::keys(&self.home, &self.profile)
    }

    pub(super) fn load(&self, key: &CredentialKey) -> Result<Stored> {
        let absent = || StoreError::not_found(key);
        // A name that no file can have was never saved.
        let Ok(files) = self.files(key) else { return Err(absent()) };
        if !scan::check_dirs(&self.home, &self.profile)? {
            return Err(absent());
        }
        let bytes = disk::read_private(&files.record)?.ok_or_else(absent)?;
        let header = format::check(&bytes).map_err(|flaw| flaw.of(key))?;
        let record_key = self.record_key(Purpose::Read)?;
        let clear = format::open(bytes, &header, &record_key, &self.profile, key)?;
        let credential = record::from_clear(&clear)
            .filter(|credential| credential.key() == key)
            .ok_or_else(|| format::damaged(key))?;
        Ok(Stored { credential, generation: header.generation })
    }

    pub(super) fn generation(&self, key: &CredentialKey) -> Result<Generation> {
        let Ok(files) = self.files(key) else { return Err(StoreError::not_found(key)) };
        if !scan::check_dirs(&self.home, &self.profile)? {
            return Err(StoreError::not_found(key));
        }
        match scan::read_header(&files.record)? {
            None => Err(StoreError::not_found(key)),
            Some(header) => Ok(header.map_err(|flaw| flaw.of(key))?.generation),
        }
    }

    pub(super) fn save(&self, credential: &Credential, expect: Expect) -> Result<Generation> {
        let key = credential.key();
        let files = self.files(key)?;
        let clear = record::to_clear(credential).map_err(|_| {
            StoreError::new(
                StoreErrorKind::InvalidInput,
                format!("the credential {key} cannot be written down: a time beyond year 9999"),
            )
            .with_hint(format!("moat grant {key}"))
        })?;
        self.create_dirs()?;
        // Before the lock: a keyring may ask the person, and others should not wait for that.
        let record_key = self.record_key(Purpose::Write)?;
        let lock = Lock::take(&files.lock, LIMIT)?;
        let found = scan::read_header(&files.record);
        let earlier = match expect {
            // What is replaced need not be readable: a new grant repairs it.
            Expect::Anything => {
                found.ok().flatten().and_then(Result::ok).map(|header| header.generation)
            }
            Expect::Absent if is_there(&files.record)? => return Err(StoreError::conflict(key)),
            Expect::Absent => None,
            Expect::Generation(expected) => {
                match found?.transpose().map_err(|flaw| flaw.of(key))? {
                    Some(header) if header.generation == expected => Some(expected),
                    _ => return Err(StoreError::conflict(key)),
                }
            }
        };
        let generation = next(earlier.max(removed(&lock)));
        let sealed = format::seal(clear, generation, &record_key, &self.profile, key)?;
        disk::replace(&files.record, &files.temporary, &sealed)?;
        Ok(generation)
    }

    pub(super) fn remove(&self, key: &CredentialKey) -> Result<bool> {
        let Ok(files) = self.files(key) else { return Ok(false) };
        if !scan::check_dirs(&self.home, &self.profile)?
            || !(is_there(&files.record)? || is_there(&files.temporary)?)
        {
            return Ok(false);
        }
        self.create_dirs()?;
        let lock = Lock::take(&files.lock, LIMIT)?;
        if let Ok(Some(Ok(header))) = scan::read_header(&files.record) {
            remember(&lock, header.generation);
        }
        disk::remove(&files.temporary)?;
        disk::remove(&files.record)
    }

    pub(super) fn list(&self) -> Result<Vec<Entry>> {
        let names = self.names()?;
        if !names.is_empty() {
            self.key_ring.open(Purpose::Read)?;
        }
        let entry = |key: CredentialKey| match self.load(&key) {
            Err(error) if error.kind() == StoreErrorKind::NotFound => None,
            loaded => {
                let info = loaded.map(|stored| stored.credential.info().clone());
                Some(Entry { key, info })
            }
        };
        Ok(names.into_iter().filter_map(entry).collect())
    }

    pub(super) fn try_lease(&self, key: &CredentialKey) -> Result<Option<Lease>> {
        let files = self.files(key)?;
        self.create_dirs()?;
        Ok(Lock::try_take(&files.lease)?.map(|lock| Lease::new(key.clone(), lock)))
    }
}

/// Whether there is anything by this name, readable or not.
fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cannot_be("read", path, error)),
    }
}

/// Returns a generation that is later than this one, and than all that were ever given out: the
/// number of microseconds since 1970, or one more than the last.
///
/// A plain count would begin anew after a removal, and go back where a backup is restored.
fn next(earlier: Option<Generation>) -> Generation {
    #[expect(
        clippy::disallowed_methods,
        reason = "a number that grows is wanted, not the time of day"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    Generation::new(earlier.map_or(now, |earlier| now.max(earlier.number().saturating_add(1))))
}

/// Keeps the generation of a removed credential in its lock file, for a clock that is set back.
/// Where that fails the clock is what is left.
fn remember(lock: &Lock, generation: Generation) {
    let write = || {
        let mut file = lock.file();
        file.rewind()?;
        // Numbers of one length, so that nothing is left of a longer one.
        write!(file, "{:020}", generation.number())
    };
    let _: std::io::Result<()> = write();
}

/// Returns the generation that [`remember`] has kept.
fn removed(lock: &Lock) -> Option<Generation> {
    let mut text = String::new();
    lock.file().take(32).read_to_string(&mut text).ok()?;
    text.parse().ok().map(Generation::new)
}
