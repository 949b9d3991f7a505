//! A store that fails on demand, and counts.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use moat_provider_core::{BoxFuture, Credential, CredentialKey};
use moat_store::{
    CredentialStore, Entry, Expect, Generation, Lease, MemoryStore, Result, StoreError,
    StoreErrorKind, Stored,
};

type BeforeSave = Box<dyn FnOnce(MemoryStore) -> BoxFuture<'static, ()> + Send>;

/// A [`MemoryStore`] between which and its users things go wrong. Clones share everything.
#[derive(Clone)]
pub(crate) struct TestStore {
    inner: MemoryStore,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    saves: VecDeque<StoreErrorKind>,
    read: Option<StoreErrorKind>,
    before_save: Option<BeforeSave>,
    loads: usize,
    latency: Duration,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryStore::new(), faults: Arc::default() }
    }

    /// The store as somebody else sees it, to whom nothing goes wrong.
    pub(crate) fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    pub(crate) fn fail_saves(&self, count: usize, kind: StoreErrorKind) {
        self.faults().saves.extend(std::iter::repeat_n(kind, count));
    }

    pub(crate) fn heal(&self) {
        let mut faults = self.faults();
        faults.saves.clear();
        faults.read = None;
    }

    pub(crate) fn fail_reads(&self, kind: StoreErrorKind) {
        self.faults().read = Some(kind);
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.faults().latency = latency;
    }

    /// Lets somebody else come first when the next save is made.
    pub(crate) fn before_save<F>(&self, act: impl FnOnce(MemoryStore) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.faults().before_save = Some(Box::new(|store| Box::pin(act(store))));
    }

    pub(crate) fn loads(&self) -> usize {
        self.faults().loads
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    async fn read(&self) -> Result<()> {
        let (latency, fault) = {
            let faults = self.faults();
            (faults.latency, faults.read)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        fault.map_or(Ok(()), |kind| Err(StoreError::new(kind, "this was to be expected")))
    }
}

impl CredentialStore for TestStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Stored>> {
        Box::pin(async {
            self.faults().loads += 1;
            self.read().await?;
            self.inner.load(key).await
        })
    }

    fn generation<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Generation>> {
        Box::pin(async {
            self.read().await?;
            self.inner.generation(key).await
        })
    }

    fn save<'a>(
        &'a self,
        credential: &'a Credential,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Generation>> {
        Box::pin(async move {
            let (before, fault, latency) = {
                let mut faults = self.faults();
                (faults.before_save.take(), faults.saves.pop_front(), faults.latency)
            };
            if let Some(act) = before {
                act(self.inner.clone()).await;
            }
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            match fault {
                Some(kind) => Err(StoreError::new(kind, "this was to be expected")),
                None => self.inner.save(credential, expect).await,
            }
        })
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(key)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        self.inner.list()
    }

    fn try_lease<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<Option<Lease>>> {
        self.inner.try_lease(key)
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore").finish_non_exhaustive()
    }
}
