//! Saving what a vendor renewed, and not losing it.

use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{Credential, Secrets};
use moat_store::{Expect, StoreError, StoreErrorKind, Stored};
use time::OffsetDateTime;

use super::{Swap, Task};
use crate::Problem;
use crate::deadline::Deadline;
use crate::schedule::Network;

/// How often a save is tried on top of what others saved, without a pause.
const REBASES: usize = 4;

/// A renewed credential that the store did not take yet.
pub(super) struct Unsaved {
    /// What the store has in its place.
    basis: Arc<Stored>,
    problem: Problem,
    retry: Deadline,
    failures: u32,
}

impl Unsaved {
    pub(super) fn basis(&self) -> Arc<Stored> {
        Arc::clone(&self.basis)
    }

    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }

    pub(super) fn wait(&mut self, now: OffsetDateTime) -> Duration {
        self.retry.left(now)
    }

    pub(super) fn is_due(&mut self, now: OffsetDateTime) -> bool {
        self.retry.is_over(now)
    }
}

impl Task {
    /// Saves a credential in the place of the one from which it was renewed.
    ///
    /// A new grant that was saved meanwhile stays, and what was removed is not brought back. Where
    /// somebody only edited the record, the renewed secrets go on top: the store would keep a spent
    /// refresh token else.
    pub(super) async fn save(&mut self, mut next: Credential, mut basis: Arc<Stored>) {
        for _ in 0..REBASES {
            let expect = Expect::Generation(basis.generation);
            let error = match self.shared.store.save(&next, expect).await {
                Ok(generation) => return self.saved(Stored { credential: next, generation }),
                Err(error) => error,
            };
            if !matches!(error.kind(), StoreErrorKind::Conflict | StoreErrorKind::NotFound) {
                return self.keep(next, basis, &error);
            }
            match self.shared.store.load(&self.key).await {
                Ok(theirs) => match rebase(&basis.credential, &next, &theirs.credential) {
                    Some(rebased) => (next, basis) = (rebased, Arc::new(theirs)),
                    None => {
                        self.release();
                        return self.adopt(theirs, Swap::Other);
                    }
                },
                Err(error) if error.kind() == StoreErrorKind::NotFound => {
                    return self.remove();
                }
                Err(error) => return self.keep(next, basis, &error),
            }
        }
        self.keep(next, basis, &StoreError::conflict(&self.key));
    }

    /// Tries again.
    pub(super) async fn save_again(&mut self) {
        if let (Some(unsaved), Some(held)) = (&self.unsaved, self.held.clone()) {
            let basis = unsaved.basis();
            self.save(held.credential.clone(), basis).await;
        }
    }

    fn saved(&mut self, stored: Stored) {
        let was_served = self.unsaved.is_some()
            && self.held.as_ref().is_some_and(|held| is_same(&held.credential, &stored.credential));
        self.release();
        self.adopt(stored, if was_served { Swap::Saved } else { Swap::Other });
    }

    /// Lets others refresh.
    pub(super) fn release(&mut self) {
        self.unsaved = None;
        self.lease = None;
    }

    /// Serves a credential from memory, and keeps the lease, so that nobody spends the refresh token
    /// again that is in the store.
    fn keep(&mut self, next: Credential, basis: Arc<Stored>, error: &StoreError) {
        let now = self.now();
        let failures = self.unsaved.as_ref().map_or(0, |unsaved| unsaved.failures);
        let failures = failures.saturating_add(1);
        let entropy = &**self.shared.cx.entropy();
        let wait = self.shared.schedule.retry(failures, Network::Reached, None, entropy);
        let (kind, generation) = (error.kind(), basis.generation);
        tracing::error!(
            key = %self.key, %generation, ?kind, ?wait,
            "the renewed credential could not be saved, and is in memory only"
        );
        self.unsaved = Some(Unsaved {
            problem: Problem::unsaved(&self.key, error),
            retry: Deadline::after(now, wait),
            failures,
            basis,
        });
        let is_news = !self.held.as_ref().is_some_and(|held| is_same(&held.credential, &next));
        self.held = Some(Arc::new(Stored { credential: next, generation }));
        if is_news {
            self.revision += 1;
            self.pace.obtained = Some(now);
            self.pace.not_before = Deadline::after(now, self.shared.schedule.spacing());
            self.pace.failures = 0;
            self.pace.trouble = None;
            self.plan(now);
        }
    }
}

/// Puts renewed secrets on top of what somebody else made of the record from which they come; `None`
/// when that is another grant, or has been renewed as well.
fn rebase(basis: &Credential, ours: &Credential, theirs: &Credential) -> Option<Credential> {
    let is_edit = theirs.info().created_at() == basis.info().created_at()
        && have_same_secrets(theirs.secrets(), basis.secrets());
    if !is_edit {
        return None;
    }
    let info = ours.info();
    let (before, after) = (basis.info().all_metadata(), info.all_metadata());
    let mut rebased =
        theirs.renew().expires_at(info.expires_at()).scopes(info.scopes().iter().cloned());
    for (name, secret) in ours.secrets().iter() {
        rebased = rebased.secret(name.clone(), secret.clone());
    }
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(value)) {
        rebased = rebased.metadata(name, value);
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        rebased = rebased.without_metadata(name);
    }
    Some(rebased.build())
}

fn is_same(one: &Credential, other: &Credential) -> bool {
    one.info() == other.info() && have_same_secrets(one.secrets(), other.secrets())
}

fn have_same_secrets(one: &Secrets, other: &Secrets) -> bool {
    one.names().eq(other.names())
        && one.iter().all(|(name, secret)| {
            other.get(name).is_some_and(|counterpart| counterpart.same_as(secret))
        })
}
