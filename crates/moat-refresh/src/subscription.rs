//! Following one credential.

use std::fmt;

use moat_provider_core::CredentialKey;
use moat_store::{Generation, Stored};
use tokio::sync::watch;

use crate::slot::User;
use crate::{Problem, Snapshot, State};

/// Follows one credential, which is kept fresh while there is a subscription to it.
///
/// A subscriber sees the *latest* value: of two swaps in short order the first may be skipped, never
/// the last, and never do they come in another order. What must not be missed is counted, see
/// [`Snapshot::removals`].
pub struct Subscription {
    key: CredentialKey,
    user: User,
    receiver: watch::Receiver<Snapshot>,
}

impl Subscription {
    pub(crate) fn new(key: CredentialKey, user: User) -> Self {
        let receiver = user.slot().status().subscribe();
        Self { key, user, receiver }
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// Returns the credential as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.receiver.borrow().clone()
    }

    /// Waits until the credential or its state is another than was last returned by this method, and
    /// returns it; `None` when the engine was shut down.
    ///
    /// May be dropped at any time, and misses nothing thereby.
    pub async fn changed(&mut self) -> Option<Snapshot> {
        if matches!(self.receiver.borrow().state, State::Ended(_)) {
            return None;
        }
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }

    /// Sees to it that the credential is fresh; see
    /// [`Refresher::ensure_fresh`](crate::Refresher::ensure_fresh).
    ///
    /// # Errors
    ///
    /// Those of [`Refresher::ensure_fresh`](crate::Refresher::ensure_fresh).
    pub async fn ensure_fresh(&self) -> Result<Stored, Problem> {
        let answer = self.user.slot().ensure();
        answer.await.unwrap_or_else(|_| Err(Problem::ended(&self.key)))
    }

    /// Renews the credential now; see [`Refresher::renew`](crate::Refresher::renew).
    ///
    /// # Errors
    ///
    /// Those of [`Refresher::renew`](crate::Refresher::renew).
    pub async fn renew(&self) -> Result<Stored, Problem> {
        let answer = self.user.slot().renew();
        answer.await.unwrap_or_else(|_| Err(Problem::ended(&self.key)))
    }

    /// Tells of a 401; see [`Refresher::rejected`](crate::Refresher::rejected).
    pub fn rejected(&self, generation: Generation) {
        self.user.slot().reject(generation);
    }

    /// Waits for the first look into the store.
    pub(crate) async fn loaded(&mut self) {
        // The sender lives in the slot, to which this is a reference.
        let _ = self.receiver.wait_for(|snapshot| snapshot.is_loaded).await;
    }
}

impl Clone for Subscription {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), user: self.user.clone(), receiver: self.receiver.clone() }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("key", &self.key)
            .field("now", &*self.receiver.borrow())
            .finish_non_exhaustive()
    }
}
