//! A store in memory, for tests and for hosts that keep nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moat_provider_core::{BoxFuture, Credential, CredentialKey};

use crate::{CredentialStore, Entry, Expect, Generation, Lease, Result, StoreError, Stored};

/// Keeps credentials in memory, and forgets them when it is dropped.
///
/// Clones share their contents: they stand for several processes at one store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    records: BTreeMap<CredentialKey, Stored>,
    leased: BTreeSet<CredentialKey>,
    last_generation: u64,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn get(&self, key: &CredentialKey) -> Result<&Stored> {
        self.records.get(key).ok_or_else(|| StoreError::not_found(key))
    }

    fn save(&mut self, credential: &Credential, expect: Expect) -> Result<Generation> {
        let key = credential.key();
        let found = self.records.get(key).map(|stored| stored.generation);
        let is_expected = match expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Generation(generation) => found == Some(generation),
        };
        if !is_expected {
            return Err(StoreError::conflict(key));
        }
        self.last_generation += 1;
        let generation = Generation::new(self.last_generation);
        self.records.insert(key.clone(), Stored { credential: credential.clone(), generation });
        Ok(generation)
    }
}

impl CredentialStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Stored>> {
        Box::pin(async { self.contents().get(key).cloned() })
    }

    fn generation<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Generation>> {
        Box::pin(async { self.contents().get(key).map(|stored| stored.generation) })
    }

    fn save<'a>(
        &'a self,
        credential: &'a Credential,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Generation>> {
        Box::pin(async move { self.contents().save(credential, expect) })
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(self.contents().records.remove(key).is_some()) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async {
            let contents = self.contents();
            let entry = |(key, stored): (&CredentialKey, &Stored)| Entry {
                key: key.clone(),
                info: Ok(stored.credential.info().clone()),
            };
            Ok(contents.records.iter().map(entry).collect())
        })
    }

    fn try_lease<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Option<Lease>>> {
        Box::pin(async {
            let is_free = self.contents().leased.insert(key.clone());
            Ok(is_free
                .then(|| Lease::new(key.clone(), Held { store: self.clone(), key: key.clone() })))
        })
    }
}

/// Gives a lease back when it is dropped.
struct Held {
    store: MemoryStore,
    key: CredentialKey,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.contents().leased.remove(&self.key);
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.contents().records.keys()).finish()
    }
}
