//! What the task of one credential shares with those who use the credential.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moat_store::{Generation, Stored};
use tokio::sync::{Notify, oneshot, watch};

use crate::{Problem, Snapshot};

/// What those get who want a credential to be fresh.
pub(crate) type Answer = Result<Stored, Problem>;

/// The place where the task of one credential and its users meet.
pub(crate) struct Slot {
    inbox: Mutex<Inbox>,
    wake: Notify,
    status: watch::Sender<Snapshot>,
}

/// What users want of the task. Not a queue: whatever a container provokes, it does not grow.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) users: usize,
    pub(crate) ensure: Vec<oneshot::Sender<Answer>>,
    pub(crate) renew: Vec<oneshot::Sender<Answer>>,
    pub(crate) rejected: Option<Generation>,
    pub(crate) is_over: bool,
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Mutex::default(),
            wake: Notify::new(),
            status: watch::Sender::new(Snapshot::empty()),
        }
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        locked(&self.inbox)
    }

    pub(crate) fn status(&self) -> &watch::Sender<Snapshot> {
        &self.status
    }

    /// Completes when there may be something in the inbox.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Asks for a fresh credential. What is returned fails when the task ends.
    pub(crate) fn ensure(&self) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut inbox = self.inbox();
        if !inbox.is_over {
            inbox.ensure.push(sender);
            self.wake.notify_one();
        }
        receiver
    }

    /// Asks for the next credential, although the present one may be good. What is returned fails
    /// when the task ends.
    pub(crate) fn renew(&self) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut inbox = self.inbox();
        if !inbox.is_over {
            inbox.renew.push(sender);
            self.wake.notify_one();
        }
        receiver
    }

    /// Tells of a 401.
    pub(crate) fn reject(&self, generation: Generation) {
        let mut inbox = self.inbox();
        if inbox.rejected < Some(generation) {
            inbox.rejected = Some(generation);
            self.wake.notify_one();
        }
    }
}

/// A reference to a slot, while which its task goes on.
pub(crate) struct User(Arc<Slot>);

impl User {
    /// Counts another user.
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        slot.inbox().users += 1;
        Self(slot)
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.0
    }
}

impl Clone for User {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut inbox = self.0.inbox();
        inbox.users -= 1;
        if inbox.users == 0 {
            self.0.wake.notify_one();
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&*self.0.status.borrow()).finish()
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
