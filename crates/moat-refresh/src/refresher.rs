//! The engine: one task for each credential that somebody uses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use moat_provider_core::{BoxFuture, CredentialKey, HostContext, Provider, Registry, RunContext};
use moat_store::{CredentialStore, Generation, Stored};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::mint::Mint;
use crate::slot::{Slot, User, locked};
use crate::task::{Pace, Task};
use crate::{Problem, Schedule, State, Subscription};

/// Keeps credentials fresh, each by one task, however many runs use it.
///
/// The constructor does nothing. The first subscription to a credential, or the first call about it,
/// spawns a task on the Tokio runtime of the caller; with the last subscription the task ends.
/// [`shut_down`](Self::shut_down) ends them all.
///
/// Clones are the same engine. Several engines at one store, in one process or in many, keep each
/// other out by the store's lease.
#[derive(Clone)]
pub struct Refresher(Arc<Shared>);

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) store: Arc<dyn CredentialStore>,
    pub(crate) cx: HostContext,
    pub(crate) schedule: Schedule,
    pub(crate) stop: CancellationToken,
    slots: Mutex<BTreeMap<CredentialKey, Arc<Slot>>>,
    /// What must outlive a task, so that ending and beginning anew evades no limit. It has no
    /// secrets, and at most one entry for each credential that was ever used.
    paces: Mutex<BTreeMap<CredentialKey, Pace>>,
    lost: Mutex<Vec<CredentialKey>>,
    tasks: TaskTracker,
}

impl Refresher {
    /// Makes an engine with the usual [`Schedule`].
    #[must_use]
    pub fn new(registry: Registry, store: Arc<dyn CredentialStore>, cx: HostContext) -> Self {
        Self::with_schedule(registry, store, cx, Schedule::default())
    }

    /// Makes an engine with a schedule of its own.
    #[must_use]
    pub fn with_schedule(
        registry: Registry,
        store: Arc<dyn CredentialStore>,
        cx: HostContext,
        schedule: Schedule,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            store,
            cx,
            schedule,
            stop: CancellationToken::new(),
            slots: Mutex::default(),
            paces: Mutex::default(),
            lost: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Follows a credential, and keeps it fresh as long as there is a subscription.
    ///
    /// Returns when the credential has been read. One that is due is refreshed from then on; to wait
    /// for that, call [`ensure_fresh`](Self::ensure_fresh) before.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when there is no such credential, it cannot be read, its provider is not
    /// registered, or the engine was shut down.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn watch(&self, key: &CredentialKey) -> Result<Subscription, Problem> {
        let mut subscription = Subscription::new(key.clone(), self.0.attach(key)?);
        subscription.loaded().await;
        let snapshot = subscription.snapshot();
        match (&snapshot.stored, snapshot.state.problem()) {
            (None, Some(problem)) => Err(problem.clone()),
            _ => Ok(subscription),
        }
    }

    /// Sees to it that a credential is fresh, as a host does before a run, and returns it.
    ///
    /// Asks the store for what another process may have saved. What expires within the provider's
    /// interval is refreshed; callers at the same time share one refresh, which goes on when they no
    /// longer wait. While a refresh fails for a transient reason, a credential that is still valid
    /// is good enough.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when there is no valid credential, with what the person can do; further those of
    /// [`watch`](Self::watch).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn ensure_fresh(&self, key: &CredentialKey) -> Result<Stored, Problem> {
        Subscription::new(key.clone(), self.0.attach(key)?).ensure_fresh().await
    }

    /// Renews a credential now, although it may be good for long: a person asks for that.
    ///
    /// Callers at the same time share one refresh. What was renewed, or failed to be, within the
    /// last half minute is not tried again; the answer is then that of before. When the vendor has
    /// nothing newer, the credential of before is returned, with its generation.
    ///
    /// # Errors
    ///
    /// A [`Problem`] whenever it was not renewed and the vendor did not say that this is the newest,
    /// also while the present one is good: [`OwnedElsewhere`] and [`NotRenewable`] without asking
    /// the vendor. With [`Store`] the renewed one may be in memory only; then let the engine run, or
    /// [shut it down](Self::shut_down). Further those of [`watch`](Self::watch).
    ///
    /// [`OwnedElsewhere`]: crate::ProblemKind::OwnedElsewhere
    /// [`NotRenewable`]: crate::ProblemKind::NotRenewable
    /// [`Store`]: crate::ProblemKind::Store
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn renew(&self, key: &CredentialKey) -> Result<Stored, Problem> {
        Subscription::new(key.clone(), self.0.attach(key)?).renew().await
    }

    /// Says what to wait for before requests with these credentials' secrets make sense; `None` when
    /// all are good, or waiting does not help.
    ///
    /// Only credentials that are watched count. Asks neither a store nor a vendor by itself, so it
    /// may be called for each request.
    #[must_use]
    pub fn prepare(&self, keys: &[CredentialKey]) -> Option<BoxFuture<'static, ()>> {
        let now = self.0.cx.clock().now();
        let slots = locked(&self.0.slots);
        let waits: Vec<_> = keys
            .iter()
            .filter_map(|key| slots.get(key))
            .filter(|slot| {
                let status = slot.status().borrow();
                let has_expired = status.info().is_some_and(|info| info.is_expired(now));
                has_expired && matches!(status.state, State::Fresh | State::Refreshing)
            })
            .map(|slot| (User::new(Arc::clone(slot)), slot.ensure()))
            .collect();
        if waits.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for (_user, answer) in waits {
                // How it went is in the state.
                let _ = answer.await;
            }
        }))
    }

    /// Hears that a request with this generation of a credential was answered with 401, or with what
    /// says the same.
    ///
    /// Leads to at most one refresh for each generation, and when generation after generation is
    /// rejected, to ever fewer: the container decides what is sent. Does not block. A credential
    /// that nobody watches is not refreshed.
    pub fn rejected(&self, key: &CredentialKey, generation: Generation) {
        if let Some(slot) = locked(&self.0.slots).get(key) {
            slot.reject(generation);
        }
    }

    /// Derives secrets for one run from a credential, and keeps them good until the handle is
    /// [ended](Mint::end) or dropped. They are never stored.
    ///
    /// Returns when the first have been minted.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when nothing could be minted; further those of [`watch`](Self::watch).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn mint(&self, key: &CredentialKey, run: Arc<RunContext>) -> Result<Mint, Problem> {
        let provider = self.0.provider(key)?;
        if provider.as_minting().is_none() {
            return Err(Problem::mints_nothing(key));
        }
        let subscription = self.watch(key).await?;
        let mint = Mint::begin(&self.0, provider, subscription, run);
        mint.ensure().await?;
        Ok(mint)
    }

    /// Ends all tasks, and waits for them.
    ///
    /// A refresh that is under way comes to its end, because the vendor may have spent the refresh
    /// token already. Minted secrets are revoked. What could not be saved is tried once more.
    ///
    /// # Errors
    ///
    /// The credentials whose newest refresh token is lost now, because the store did not take it:
    /// the person has to grant them anew.
    pub async fn shut_down(&self) -> Result<(), Vec<CredentialKey>> {
        {
            // Under the lock, so that no task begins that does not see it.
            let _slots = locked(&self.0.slots);
            self.0.stop.cancel();
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let lost = locked(&self.0.lost).clone();
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

impl Shared {
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.cx.clock().now()
    }

    fn provider(&self, key: &CredentialKey) -> Result<Arc<dyn Provider>, Problem> {
        let found = self.registry.require(key.provider().as_str());
        found.cloned().map_err(|error| Problem::no_provider(key, &error))
    }

    /// Becomes a user of a credential's task, and begins the task where there is none.
    fn attach(self: &Arc<Self>, key: &CredentialKey) -> Result<User, Problem> {
        let provider = self.provider(key)?;
        let mut slots = locked(&self.slots);
        if self.stop.is_cancelled() {
            return Err(Problem::ended(key));
        }
        if let Some(slot) = slots.get(key) {
            return Ok(User::new(Arc::clone(slot)));
        }
        let slot = Arc::new(Slot::new());
        slots.insert(key.clone(), Arc::clone(&slot));
        let user = User::new(Arc::clone(&slot));
        let pace = locked(&self.paces).remove(key).unwrap_or_default();
        // Without the lock, which the guard takes when the future is dropped at once.
        drop(slots);
        let guard = Guard { shared: Arc::clone(self), key: key.clone(), slot: Arc::clone(&slot) };
        let task = Task::new(Arc::clone(self), key.clone(), provider, slot, pace);
        self.spawn(async move {
            let _guard = guard;
            task.run().await;
        });
        Ok(user)
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(future);
    }

    /// Lets a task end, unless somebody has come to use it.
    pub(crate) fn retire(&self, key: &CredentialKey, slot: &Arc<Slot>, pace: &Pace) -> bool {
        let mut slots = locked(&self.slots);
        let mut inbox = slot.inbox();
        if inbox.users > 0 {
            return false;
        }
        inbox.is_over = true;
        slots.remove(key);
        locked(&self.paces).insert(key.clone(), pace.clone());
        true
    }

    /// Notes that a renewed credential is lost.
    pub(crate) fn lose(&self, key: &CredentialKey) {
        locked(&self.lost).push(key.clone());
    }
}

/// Cleans up behind a task, also one that panicked.
struct Guard {
    shared: Arc<Shared>,
    key: CredentialKey,
    slot: Arc<Slot>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut slots = locked(&self.shared.slots);
        if slots.get(&self.key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.key);
        }
        let mut inbox = self.slot.inbox();
        inbox.is_over = true;
        inbox.ensure.clear();
        inbox.renew.clear();
        drop(inbox);
        self.slot.status().send_modify(|status| {
            status.state = State::Ended(Problem::ended(&self.key));
            status.is_loaded = true;
        });
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<_> = locked(&self.0.slots).keys().cloned().collect();
        f.debug_struct("Refresher").field("watched", &watched).finish_non_exhaustive()
    }
}
