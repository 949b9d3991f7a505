//! The store in files.

pub(crate) mod disk;
pub(crate) mod fault;
mod format;
pub(crate) mod lock;
mod name;
mod operations;
mod record;
pub(crate) mod scan;

use std::fmt;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{BoxFuture, Credential, CredentialKey};
use tokio::task::spawn_blocking;

use self::operations::Operations;
use crate::key::{KeyFile, KeyRing, KeySource, Purpose, Unlocked};
use crate::{
    CredentialStore, Entry, Expect, Generation, Lease, Profile, Result, StoreError, StoreErrorKind,
    Stored,
};

/// Keeps the credentials of one profile in encrypted files.
///
/// Cheap to make and to clone; the key is opened when the first record is read or written. The
/// futures run on tokio's threads for blocking work, so they need its runtime. A save whose future
/// is dropped may still happen.
#[derive(Clone)]
pub struct FileStore(Arc<Operations>);

impl FileStore {
    /// Begins a store in a directory, such as `~/.moat`. Nothing is read or created yet.
    #[must_use]
    pub fn builder(home: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder { home: home.into(), profile: Profile::default(), sources: Vec::new() }
    }

    /// Returns the store of another profile of the same home, which shares the opened key.
    #[must_use]
    pub fn in_profile(&self, profile: Profile) -> Self {
        Self(Arc::new(self.0.in_profile(profile)))
    }

    /// Returns the profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        self.0.profile()
    }

    /// Returns the directory that was given.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.0.home()
    }

    /// Lists the profiles of the home: the default one first, then those that have a directory.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotPermitted`] and [`StoreErrorKind::Io`].
    pub fn profiles(&self) -> BoxFuture<'_, Result<Vec<Profile>>> {
        self.blocking(|operations| operations.profiles())
    }

    /// Lists the keys of the credentials in order, without opening the key of the store.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotPermitted`] and [`StoreErrorKind::Io`].
    pub fn names(&self) -> BoxFuture<'_, Result<Vec<CredentialKey>>> {
        self.blocking(|operations| operations.names())
    }

    /// Opens the key, makes one when there is neither key nor record, and says where it stands.
    ///
    /// Reading and saving do the same when it is needed; a command calls this first to tell the
    /// person where a new key was put, and why.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::KeyUnavailable`] and [`StoreErrorKind::KeyMissing`].
    pub fn unlock(&self) -> BoxFuture<'_, Result<Unlocked>> {
        self.blocking(|operations| Ok(operations.key_ring().open(Purpose::Write)?.unlocked.clone()))
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Operations) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let operations = Arc::clone(&self.0);
        Box::pin(async move {
            match spawn_blocking(move || work(&operations)).await {
                Ok(done) => done,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => panic::resume_unwind(panic),
                    Err(error) => Err(StoreError::new(
                        StoreErrorKind::Io,
                        "the program is ending, and the store was not asked any more",
                    )
                    .with_source(error)),
                },
            }
        })
    }
}

impl CredentialStore for FileStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Stored>> {
        let key = key.clone();
        self.blocking(move |operations| operations.load(&key))
    }

    fn generation<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Generation>> {
        let key = key.clone();
        self.blocking(move |operations| operations.generation(&key))
    }

    fn save<'a>(
        &'a self,
        credential: &'a Credential,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Generation>> {
        let credential = credential.clone();
        self.blocking(move |operations| operations.save(&credential, expect))
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<bool>> {
        let key = key.clone();
        self.blocking(move |operations| operations.remove(&key))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        self.blocking(|operations| operations.list())
    }

    fn try_lease<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Option<Lease>>> {
        let key = key.clone();
        self.blocking(move |operations| operations.try_lease(&key))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("home", &self.home())
            .field("profile", self.profile())
            .finish_non_exhaustive()
    }
}

/// Collects the parts of a [`FileStore`].
#[derive(Debug)]
pub struct FileStoreBuilder {
    home: PathBuf,
    profile: Profile,
    sources: Vec<Arc<dyn KeySource>>,
}

impl FileStoreBuilder {
    /// Sets the profile.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds a place where the key may stand. The first one that the machine has is taken when the
    /// first credential is saved, and kept from then on; later ones are still looked at when the
    /// note of the choice is lost.
    ///
    /// Without any the key stands in [`KeyFile::in_home`].
    #[must_use]
    pub fn key_source(mut self, source: Arc<dyn KeySource>) -> Self {
        self.sources.push(source);
        self
    }

    /// Finishes the store. Nothing is read or created yet.
    #[must_use]
    pub fn build(mut self) -> FileStore {
        if self.sources.is_empty() {
            self.sources.push(Arc::new(KeyFile::in_home(&self.home)));
        }
        let key_ring = Arc::new(KeyRing::new(self.home.clone(), self.sources));
        FileStore(Arc::new(Operations::new(self.home, self.profile, key_ring)))
    }
}
