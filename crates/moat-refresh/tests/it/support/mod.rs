//! What the tests share: a clock over paused time, a vendor, a store that fails, and all of them
//! together.

mod clock;
mod diary;
mod store;
pub(crate) mod vendor;

use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{Credential, CredentialKey, HostContext, ProviderName, Registry};
use moat_provider_testkit::FakeEntropy;
use moat_refresh::{Refresher, Schedule, Snapshot, State, Subscription};
use moat_store::{CredentialStore, Expect, Generation, Stored};

pub(crate) use self::clock::PausedClock;
pub(crate) use self::diary::Diary;
pub(crate) use self::store::TestStore;
pub(crate) use self::vendor::{Outcome, Vendor};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A person's machine: one clock, one store, one vendor, any number of processes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<PausedClock>,
    pub(crate) vendor: Vendor,
    pub(crate) store: TestStore,
    seed: std::sync::atomic::AtomicU64,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(PausedClock::new());
        Self {
            vendor: Vendor::new(Arc::clone(&clock)),
            clock,
            store: TestStore::new(),
            seed: Default::default(),
        }
    }

    pub(crate) fn key(&self) -> CredentialKey {
        CredentialKey::new(ProviderName::from_static("vendor"))
    }

    /// Begins what stands for a process: an engine of its own at the common store.
    pub(crate) fn process(&self) -> Refresher {
        self.process_with(Schedule::default())
    }

    pub(crate) fn process_with(&self, schedule: Schedule) -> Refresher {
        let mut registry = Registry::builder();
        registry.register(self.vendor.clone()).unwrap();
        let seed = self.seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let entropy = Arc::new(FakeEntropy::seeded(seed));
        let clock: Arc<PausedClock> = Arc::clone(&self.clock);
        let cx = HostContext::builder(clock, entropy).build();
        Refresher::with_schedule(registry.build(), Arc::new(self.store.clone()), cx, schedule)
    }

    /// Has the person grant a credential that lives this long.
    pub(crate) async fn grant(&self, life: impl Into<Option<Duration>>) -> Generation {
        self.put(self.vendor.grant(life.into())).await
    }

    pub(crate) async fn put(&self, credential: Credential) -> Generation {
        self.store.inner().save(&credential, Expect::Anything).await.unwrap()
    }

    pub(crate) async fn stored(&self) -> Stored {
        self.store.inner().load(&self.key()).await.unwrap()
    }

    pub(crate) async fn remove(&self) {
        assert!(self.store.inner().remove(&self.key()).await.unwrap());
    }

    /// Fails if the vendor saw a refresh token twice, or does not know the one that is stored.
    pub(crate) async fn assert_nothing_is_lost(&self) {
        assert_eq!(self.vendor.reused(), 0, "a refresh token was spent twice");
        assert!(self.vendor.knows(&self.stored().await.credential), "a rotated token was lost");
    }
}

/// Lets time pass, and everything happen that is due.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits until a subscriber sees a state.
pub(crate) async fn until(
    subscription: &mut Subscription,
    wanted: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    let now = subscription.snapshot();
    if wanted(&now) {
        return now;
    }
    let wait = async {
        loop {
            let snapshot = subscription.changed().await.expect("the engine has ended");
            if wanted(&snapshot) {
                return snapshot;
            }
        }
    };
    tokio::time::timeout(24 * HOUR, wait).await.expect("a day is over")
}

pub(crate) fn is_fresh(snapshot: &Snapshot) -> bool {
    *snapshot.state() == State::Fresh
}
