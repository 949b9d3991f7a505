//! Secrets derived for one run.

mod task;

use std::fmt;
use std::sync::{Arc, Mutex};

use moat_provider_core::{BoxFuture, CredentialKey, Minted, Provider, RunContext};
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::task::MintTask;
use crate::refresher::Shared;
use crate::slot::locked;
use crate::{Problem, State, Subscription};

/// What those get who want minted secrets to be good.
type Answer = Result<Minted, Problem>;

/// The secrets that one run derives from one credential, kept good.
///
/// They are renewed before they expire, and minted anew when the credential changes. While renewing
/// fails, those that are still valid are served. They are in memory only.
///
/// [`end`](Self::end) revokes them where the vendor allows it; dropping the handle has the same done
/// in the background.
pub struct Mint {
    key: CredentialKey,
    place: Arc<Place>,
    receiver: watch::Receiver<Status>,
    clock: Arc<dyn moat_provider_core::Clock>,
    end: CancellationToken,
    _dropped: DropGuard,
}

/// Tells when the secrets of a [`Mint`] or their state are others than before.
pub struct MintChanges(watch::Receiver<Status>);

impl MintChanges {
    /// Waits for the next change; `None` when none follows any more. May be dropped at any time, and
    /// misses nothing thereby.
    pub async fn next(&mut self) -> Option<()> {
        if matches!(self.0.borrow().state, State::Ended(_)) {
            return None;
        }
        self.0.changed().await.ok()
    }
}

impl fmt::Debug for MintChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintChanges").finish_non_exhaustive()
    }
}

/// Where the task and its users meet.
struct Place {
    inbox: Mutex<Inbox>,
    wake: Notify,
    status: watch::Sender<Status>,
}

#[derive(Default)]
struct Inbox {
    ensure: Vec<oneshot::Sender<Answer>>,
    rejected: Option<u64>,
    is_over: bool,
}

struct Status {
    minted: Option<Minted>,
    revision: u64,
    state: State,
    end: Option<Result<(), Problem>>,
}

impl Mint {
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        provider: Arc<dyn Provider>,
        subscription: Subscription,
        run: Arc<RunContext>,
    ) -> Self {
        let status = Status { minted: None, revision: 0, state: State::Refreshing, end: None };
        let place = Arc::new(Place {
            inbox: Mutex::default(),
            wake: Notify::new(),
            status: watch::Sender::new(status),
        });
        let end = CancellationToken::new();
        let key = subscription.key().clone();
        let guard = Guard { key: key.clone(), place: Arc::clone(&place) };
        let task = MintTask::new(Arc::clone(shared), provider, subscription, run, &place);
        let ends = end.clone();
        shared.spawn(async move {
            let _guard = guard;
            task.run(ends).await;
        });
        Self {
            key,
            receiver: place.status.subscribe(),
            place,
            clock: Arc::clone(shared.cx.clock()),
            _dropped: end.clone().drop_guard(),
            end,
        }
    }

    /// Returns the key of the credential from which the secrets are derived.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// Returns the secrets as they are now; `None` when the credential was removed.
    #[must_use]
    pub fn minted(&self) -> Option<Minted> {
        self.receiver.borrow().minted.clone()
    }

    /// Returns a number that grows each time that other secrets take the place of these.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.receiver.borrow().revision
    }

    /// Returns how the secrets stand; never [`State::Unsaved`].
    #[must_use]
    pub fn state(&self) -> State {
        self.receiver.borrow().state.clone()
    }

    /// Begins to tell of other secrets and other states.
    #[must_use]
    pub fn changes(&self) -> MintChanges {
        MintChanges(self.place.status.subscribe())
    }

    /// Sees to it that the secrets are valid, and returns them. Callers at the same time share one
    /// mint, which goes on when they no longer wait.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when there are no valid ones and none could be minted.
    pub async fn ensure(&self) -> Result<Minted, Problem> {
        self.request().await.unwrap_or_else(|_| Err(Problem::ended(&self.key)))
    }

    /// Says what to wait for before requests with these secrets make sense; `None` when they are
    /// good, or waiting does not help. See [`Refresher::prepare`](crate::Refresher::prepare).
    #[must_use]
    pub fn prepare(&self) -> Option<BoxFuture<'static, ()>> {
        let is_due = {
            let status = self.receiver.borrow();
            let now = self.clock.now();
            let has_expired = status.minted.as_ref().is_none_or(|minted| has_expired(minted, now));
            has_expired && matches!(status.state, State::Fresh | State::Refreshing)
        };
        if !is_due {
            return None;
        }
        let answer = self.request();
        Some(Box::pin(async move {
            // How it went is in the state.
            let _ = answer.await;
        }))
    }

    /// Asks for valid secrets. What is returned fails when the task ends.
    fn request(&self) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut inbox = locked(&self.place.inbox);
        if !inbox.is_over {
            inbox.ensure.push(sender);
            self.place.wake.notify_one();
        }
        receiver
    }

    /// Hears that a request with the secrets of this revision was answered with 401; as
    /// [`Refresher::rejected`](crate::Refresher::rejected).
    pub fn rejected(&self, revision: u64) {
        locked(&self.place.inbox).rejected = Some(revision);
        self.place.wake.notify_one();
    }

    /// Ends the secrets, and waits until the vendor has revoked them, as far as it does.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] with a revocation. The secrets are gone from memory all the same, and
    /// cease to be valid by themselves if they have an expiry.
    pub async fn end(&self) -> Result<(), Problem> {
        self.end.cancel();
        let mut receiver = self.receiver.clone();
        match receiver.wait_for(|status| status.end.is_some()).await {
            Ok(status) => status.end.clone().unwrap_or(Ok(())),
            Err(_) => Err(Problem::ended(&self.key)),
        }
    }
}

fn has_expired(minted: &Minted, now: time::OffsetDateTime) -> bool {
    minted.expires_at().is_some_and(|expiry| expiry <= now)
}

/// Cleans up behind a task, also one that panicked.
struct Guard {
    key: CredentialKey,
    place: Arc<Place>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut inbox = locked(&self.place.inbox);
        inbox.is_over = true;
        inbox.ensure.clear();
        drop(inbox);
        let ended = Problem::ended(&self.key);
        self.place.status.send_modify(|status| {
            status.minted = None;
            status.end.get_or_insert_with(|| Err(ended.clone()));
            status.state = State::Ended(ended);
        });
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.receiver.borrow();
        f.debug_struct("Mint")
            .field("key", &self.key)
            .field("revision", &status.revision)
            .field("state", &status.state)
            .finish_non_exhaustive()
    }
}
