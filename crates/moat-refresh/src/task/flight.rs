//! One refresh: lease, second look into the store, vendor, save.

use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::Refreshed;
use moat_store::{StoreErrorKind, Stored};

use super::{Activity, Swap, Task};
use crate::deadline::{Deadline, Next};
use crate::limit::limited;
use crate::schedule::{Network, bounded};
use crate::{Problem, ProblemKind};

impl Task {
    /// Refreshes the credential, or takes what another process has made of it.
    pub(super) async fn refresh(&mut self) {
        self.activity = Activity::Refreshing;
        self.publish();
        self.fly().await;
        if self.unsaved.is_none() {
            self.lease = None;
        }
        self.activity = Activity::Idle;
        self.publish();
    }

    async fn fly(&mut self) {
        if !self.acquire().await {
            return;
        }
        let in_store = match &self.unsaved {
            // Nobody else refreshes while we have the lease, and ours is the newest.
            Some(unsaved) => unsaved.basis(),
            None => match self.look_again().await {
                Some(stored) => stored,
                None => return,
            },
        };
        let Some(held) = self.held.clone() else { return };
        if self.refreshable().is_none() {
            self.pace.next = Next::Never;
            return;
        }
        tracing::debug!(key = %self.key, generation = %held.generation, "asking the provider");
        let provider = Arc::clone(&self.provider);
        let Some(provider) = provider.as_refreshable() else { return };
        let cx = self.shared.cx.clone();
        let call = provider.refresh(&cx, &held.credential);
        let limit = self.shared.schedule.call_limit();
        match limited(&**cx.clock(), limit, call).await {
            None => self.fail(Problem::timed_out(&self.key)),
            Some(Ok(Refreshed::Renewed(next))) if next.key() == &self.key => {
                self.save(next, in_store).await;
            }
            Some(Ok(Refreshed::Renewed(_))) => self.fail(Problem::wrong_key(&self.key)),
            // `Unchanged`, and what a later version of core may add.
            Some(Ok(_)) => self.unchanged(),
            Some(Err(error)) => self.fail(Problem::of_provider(&self.key, &error)),
        }
    }

    /// Takes the lease. False when that is not needed any more, or cannot be.
    async fn acquire(&mut self) -> bool {
        let stop = self.shared.stop.clone();
        let clock = Arc::clone(self.shared.cx.clock());
        let mut patience = Deadline::after(self.now(), self.shared.schedule.lease_wait());
        while self.lease.is_none() {
            match self.shared.store.try_lease(&self.key).await {
                Ok(Some(lease)) => {
                    self.lease = Some(lease);
                    break;
                }
                Ok(None) => {}
                Err(error) => {
                    self.fail(Problem::of_store(&self.key, &error));
                    return false;
                }
            }
            let before = self.revision;
            self.reread().await;
            if self.revision != before {
                return false;
            }
            if patience.is_over(self.now()) {
                self.fail(Problem::busy(&self.key));
                return false;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = clock.sleep(self.shared.schedule.lease_poll()) => {}
            }
        }
        true
    }

    /// Looks into the store again, now that nobody else refreshes. None when there is something
    /// newer, which is taken.
    async fn look_again(&mut self) -> Option<Arc<Stored>> {
        match self.shared.store.load(&self.key).await {
            Ok(stored) => {
                let known = self.held.as_ref().map(|held| held.generation);
                if known == Some(stored.generation) {
                    return Some(Arc::new(stored));
                }
                self.adopt(stored, Swap::Other);
            }
            Err(error) if error.kind() == StoreErrorKind::NotFound => self.remove(),
            Err(error) => self.fail(Problem::of_store(&self.key, &error)),
        }
        None
    }

    /// Notes that the provider has nothing newer.
    fn unchanged(&mut self) {
        let now = self.now();
        let Some(held) = &self.held else { return };
        let Some(provider) = self.refreshable() else { return };
        let schedule = &self.shared.schedule;
        let interval = schedule.interval(provider.refresh_interval(), &**self.shared.cx.entropy());
        let wait = match held.credential.info().expires_at() {
            Some(expiry) => {
                let left: Duration = (expiry - now).try_into().unwrap_or_default();
                (left / 2).clamp(schedule.spacing(), interval)
            }
            None => interval,
        };
        let problem = if self.has_expired(now) {
            Some(Problem::expired(&self.key))
        } else if self.pace.rejected == Some(held.generation) {
            Some(Problem::rejected(&self.key))
        } else {
            None
        };
        self.pace.not_before = Deadline::after(now, schedule.spacing());
        self.pace.failures = 0;
        self.pace.trouble = problem;
        self.pace.next = Next::After(Deadline::after(now, wait));
    }

    /// Notes that it did not work, and when to try again.
    pub(super) fn fail(&mut self, problem: Problem) {
        let now = self.now();
        let retry_after = problem.retry_after();
        self.pace.failures = self.pace.failures.saturating_add(1);
        let (failures, network) = match problem.kind() {
            ProblemKind::Offline => (self.pace.failures, Network::Offline),
            ProblemKind::Failed => (u32::MAX, Network::Reached),
            _ => (self.pace.failures, Network::Reached),
        };
        let entropy = &**self.shared.cx.entropy();
        let wait = self.shared.schedule.retry(failures, network, retry_after, entropy);
        self.pace.next = match problem.kind() {
            ProblemKind::Revoked | ProblemKind::Expired => Next::Never,
            _ => Next::After(Deadline::after(now, wait)),
        };
        self.pace.not_before = Deadline::after(now, self.shared.schedule.spacing());
        self.pace.vendor_wait = Deadline::after(now, bounded(retry_after));
        let (kind, error) = (problem.kind(), problem.error_kind());
        tracing::warn!(key = %self.key, ?kind, ?error, ?wait, "the refresh failed");
        self.pace.trouble = Some(problem);
    }
}
