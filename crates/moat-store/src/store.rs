//! What a store of credentials does.

use std::fmt;

use moat_provider_core::{BoxFuture, Credential, CredentialInfo, CredentialKey};

use crate::Result;

/// Keeps the credentials of one profile.
///
/// Every credential has a [`Generation`] that changes with each save, so that two writers cannot
/// lose a rotated token, and a [`Lease`] that one process at a time holds while it refreshes.
///
/// All methods may be called from many tasks and processes at once. A future that is dropped leaves
/// the old record or the new one, never anything else.
pub trait CredentialStore: fmt::Debug + Send + Sync {
    /// Reads a credential.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::StoreErrorKind::NotFound),
    /// [`CannotDecrypt`](crate::StoreErrorKind::CannotDecrypt),
    /// [`Damaged`](crate::StoreErrorKind::Damaged) and
    /// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) are told apart; further
    /// [`KeyUnavailable`](crate::StoreErrorKind::KeyUnavailable),
    /// [`KeyMissing`](crate::StoreErrorKind::KeyMissing) and [`Io`](crate::StoreErrorKind::Io).
    fn load<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Stored>>;

    /// Returns the generation of a credential without decrypting it: cheap enough to ask every few
    /// seconds whether another process has saved it anew. It may be wrong where somebody tampered
    /// with the record; [`load`](Self::load) tells.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load) but the ones about the key.
    fn generation<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Generation>>;

    /// Writes a credential under its own key, and returns its new generation.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::StoreErrorKind::Conflict) when what is there is not what the caller
    /// expects; [`NotPermitted`](crate::StoreErrorKind::NotPermitted),
    /// [`NoSpace`](crate::StoreErrorKind::NoSpace) and [`Io`](crate::StoreErrorKind::Io), after
    /// which the earlier record is still there; and those about the key.
    fn save<'a>(
        &'a self,
        credential: &'a Credential,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Generation>>;

    /// Removes a credential, also one that cannot be read. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) and [`Io`](crate::StoreErrorKind::Io).
    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<bool>>;

    /// Lists every credential in the order of the keys, those that cannot be read included.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) and [`Io`](crate::StoreErrorKind::Io)
    /// when the store itself cannot be read, and those about the key.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// Takes the right to refresh a credential; `None` when another task or process has it.
    ///
    /// Whoever finds it taken waits, and reads the result of the other. The lease ends when it is
    /// dropped, and when the process that holds it dies, however it dies.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::StoreErrorKind::NotPermitted) and [`Io`](crate::StoreErrorKind::Io).
    fn try_lease<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Option<Lease>>>;
}

/// Which of the saves of one credential a record comes from.
///
/// Never the same for two saves of one key, not even across a removal and a new grant. Larger is
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Wraps a number, for implementations of stores.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a writer expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there is replaced: a new grant.
    Anything,
    /// Nothing is there yet.
    Absent,
    /// The record that the writer read: a refresh.
    Generation(Generation),
}

/// A credential as it was read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The credential.
    pub credential: Credential,
    /// Its generation, for the next save.
    pub generation: Generation,
}

/// One line of a listing.
#[derive(Debug)]
pub struct Entry {
    /// The key; it is known also where the record cannot be read.
    pub key: CredentialKey,
    /// The credential without its secrets, or why it cannot be read.
    pub info: Result<CredentialInfo>,
}

/// The right to refresh one credential, until it is dropped.
#[must_use = "a lease ends when it is dropped"]
pub struct Lease {
    key: CredentialKey,
    _held: Box<dyn Send + Sync>,
}

impl Lease {
    /// Wraps what an implementation holds; dropping that gives the lease back.
    pub fn new(key: CredentialKey, held: impl Send + Sync + 'static) -> Self {
        Self { key, _held: Box::new(held) }
    }

    /// Returns the key of the credential.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).finish_non_exhaustive()
    }
}
