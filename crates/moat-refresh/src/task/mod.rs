//! The task of one credential: waits, asks the store, refreshes.

mod flight;
mod pace;
mod save;

use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{CredentialKey, Provider, RefreshableProvider};
use moat_store::{Generation, Lease, StoreError, StoreErrorKind, Stored};
use time::OffsetDateTime;
use tokio::sync::oneshot;

pub(crate) use self::pace::Pace;
use self::save::Unsaved;
use crate::deadline::{Deadline, Next, from_now};
use crate::problem::Life;
use crate::refresher::Shared;
use crate::schedule::LONGEST_SLEEP;
use crate::slot::{Answer, Slot};
use crate::{Problem, Snapshot, State};

/// Keeps one credential fresh.
pub(crate) struct Task {
    shared: Arc<Shared>,
    key: CredentialKey,
    provider: Arc<dyn Provider>,
    slot: Arc<Slot>,
    /// What is served.
    held: Option<Arc<Stored>>,
    /// What is served and not in the store.
    unsaved: Option<Unsaved>,
    lease: Option<Lease>,
    pace: Pace,
    poll: Deadline,
    /// Why the store's record could not be read.
    unread: Option<Problem>,
    activity: Activity,
    revision: u64,
    removals: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    Refreshing,
}

/// Whether a credential that takes the place of another is a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    /// Other secrets, or other metadata.
    Other,
    /// What was in memory only, and is saved now.
    Saved,
}

impl Task {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: CredentialKey,
        provider: Arc<dyn Provider>,
        slot: Arc<Slot>,
        pace: Pace,
    ) -> Self {
        Self {
            shared,
            key,
            provider,
            slot,
            held: None,
            unsaved: None,
            lease: None,
            pace,
            poll: Deadline::over(),
            unread: None,
            activity: Activity::Idle,
            revision: 0,
            removals: 0,
        }
    }

    /// Runs until nobody uses the credential any more, or the engine is shut down.
    pub(crate) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let clock = Arc::clone(self.shared.cx.clock());
        let slot = Arc::clone(&self.slot);
        while !stop.is_cancelled() {
            if self.unsaved.is_none() && self.shared.retire(&self.key, &self.slot, &self.pace) {
                return;
            }
            self.work().await;
            self.publish();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = slot.woken() => {}
                () = clock.sleep(self.wait()) => {}
            }
        }
        self.end().await;
    }

    /// Does everything that is due.
    async fn work(&mut self) {
        if self.unsaved.as_mut().is_some_and(|unsaved| unsaved.is_due(self.shared.now())) {
            self.save_again().await;
        }
        if self.poll.is_over(self.now()) {
            self.reread().await;
        }
        let (ensure, renew, rejected) = {
            let mut inbox = self.slot.inbox();
            let ensure = std::mem::take(&mut inbox.ensure);
            (ensure, std::mem::take(&mut inbox.renew), inbox.rejected.take())
        };
        if let Some(generation) = rejected {
            self.reject(generation);
        }
        if self.due_in().is_some_and(|wait| wait.is_zero()) {
            self.refresh().await;
        }
        if renew.iter().any(|caller| !caller.is_closed()) {
            let answer = self.renew().await;
            self.tell(renew, &answer);
        }
        if ensure.iter().any(|caller| !caller.is_closed()) {
            let answer = self.ensure().await;
            self.tell(ensure, &answer);
        }
    }

    /// Answers callers, after subscribers were shown the same.
    fn tell(&mut self, callers: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
        self.publish();
        for caller in callers {
            // A caller that no longer waits.
            let _ = caller.send(answer.clone());
        }
    }

    /// Returns how long there is nothing to do.
    fn wait(&mut self) -> Duration {
        let now = self.now();
        let save = self.unsaved.as_mut().map(|unsaved| unsaved.wait(now));
        let waits = [Some(self.poll.left(now)), self.due_in(), save];
        waits.into_iter().flatten().fold(LONGEST_SLEEP, Duration::min)
    }

    /// Returns how long it is until a refresh is due.
    fn due_in(&mut self) -> Option<Duration> {
        let now = self.now();
        self.held.as_ref()?;
        let left = self.pace.next.left(now)?;
        let at_least = match self.pace.next {
            Next::At(_) => self.pace.not_before.left(now),
            _ => Duration::ZERO,
        };
        Some(left.max(at_least).max(self.pace.vendor_wait.left(now)))
    }

    fn now(&self) -> OffsetDateTime {
        self.shared.now()
    }

    /// Returns what can refresh the credential that is held, when we may.
    fn refreshable(&self) -> Option<&dyn RefreshableProvider> {
        let info = self.held.as_ref()?.credential.info();
        self.able().filter(|_| info.refreshed_by().is_none())
    }

    /// Returns what can refresh the credential that is held, whether we may or not.
    fn able(&self) -> Option<&dyn RefreshableProvider> {
        let info = self.held.as_ref()?.credential.info();
        self.provider.as_refreshable().filter(|provider| provider.can_refresh(info))
    }

    /// Says who refreshes the credential.
    fn owned(&self, owner: &str, life: Life) -> Problem {
        match self.able() {
            Some(_) => Problem::owned(&self.key, owner, life),
            None => Problem::copied(&self.key, owner, life),
        }
    }

    fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.held.as_ref().is_some_and(|held| held.credential.info().is_expired(now))
    }

    /// Looks whether another process has saved or removed the credential.
    async fn reread(&mut self) {
        self.poll = Deadline::after(self.now(), self.shared.schedule.store_poll());
        let found = self.shared.store.generation(&self.key).await;
        let known = self.held.as_ref().map(|held| held.generation);
        match found {
            Ok(generation) if known == Some(generation) => self.unread = None,
            // Saving finds out what happened.
            Ok(_) if self.unsaved.is_some() => self.save_again().await,
            Ok(_) => match self.shared.store.load(&self.key).await {
                Ok(stored) => self.adopt(stored, Swap::Other),
                Err(error) => self.not_read(&error),
            },
            Err(error) => self.not_read(&error),
        }
    }

    /// Notes why there is nothing to be had from the store.
    fn not_read(&mut self, error: &StoreError) {
        if error.kind() == StoreErrorKind::NotFound {
            return self.remove();
        }
        let problem = Problem::of_store(&self.key, error);
        if self.unread.as_ref() != Some(&problem) {
            tracing::warn!(key = %self.key, kind = ?error.kind(), "the store cannot be read");
            self.unread = Some(problem);
        }
    }

    /// Takes what the store has.
    fn adopt(&mut self, stored: Stored, swap: Swap) {
        let now = self.now();
        let Stored { credential, generation } = &stored;
        let created_at = credential.info().created_at();
        if self.held.is_some() && self.pace.created_at != Some(created_at) {
            self.removals += 1;
        }
        if swap == Swap::Other {
            self.revision += 1;
        }
        tracing::debug!(key = %self.key, %generation, "serving a generation");
        let is_news = self.pace.note(*generation, created_at, swap, now, &self.shared.schedule);
        self.held = Some(Arc::new(stored));
        self.unread = None;
        if is_news {
            self.plan(now);
        }
    }

    /// Decides when the credential that is held is refreshed next.
    fn plan(&mut self, now: OffsetDateTime) {
        let (schedule, entropy) = (&self.shared.schedule, &**self.shared.cx.entropy());
        let expiry = self.held.as_ref().and_then(|held| held.credential.info().expires_at());
        self.pace.next = match (self.refreshable(), expiry) {
            (None, _) => Next::Never,
            (Some(_), Some(expiry)) => {
                Next::At(schedule.renew_at(expiry, self.pace.obtained, entropy))
            }
            (Some(provider), None) => {
                let interval = schedule.interval(provider.refresh_interval(), entropy);
                Next::After(Deadline::after(now, interval))
            }
        };
    }

    /// Forgets a credential that is gone from the store.
    fn remove(&mut self) {
        self.release();
        self.unread = None;
        self.pace.next = Next::Never;
        self.pace.trouble = Some(Problem::removed(&self.key));
        if self.held.take().is_some() {
            self.removals += 1;
            self.revision += 1;
            tracing::info!(key = %self.key, "the credential was removed");
        }
    }

    /// Hears of a 401.
    fn reject(&mut self, generation: Generation) {
        let is_current = self.held.as_ref().is_some_and(|held| held.generation == generation);
        if !is_current || self.unsaved.is_some() || self.pace.rejected == Some(generation) {
            return;
        }
        self.pace.rejected = Some(generation);
        let now = self.now();
        if self.refreshable().is_none() {
            self.pace.trouble.get_or_insert_with(|| Problem::rejected(&self.key));
            tracing::info!(key = %self.key, %generation, "rejected, and cannot be refreshed");
        } else if let Some(left) = self.pace.next.left(now) {
            let wait = self.pace.provoked_wait(now, &self.shared.schedule);
            tracing::debug!(key = %self.key, %generation, ?wait, "rejected");
            if wait < left {
                self.pace.next = Next::After(Deadline::after(now, wait));
            }
        }
    }

    /// Does what a caller wants who is about to use the credential.
    async fn ensure(&mut self) -> Answer {
        self.reread().await;
        // Twice: what another process saved in the meantime may be due as well.
        for _ in 0..2 {
            if !self.is_due_before_run() {
                break;
            }
            self.refresh().await;
        }
        self.answer()
    }

    /// Does what a caller wants who wants the next credential now.
    async fn renew(&mut self) -> Answer {
        self.reread().await;
        let Some(held) = &self.held else { return self.answer() };
        if self.unsaved.is_none() && self.refreshable().is_none() {
            let info = held.credential.info();
            let life = if info.is_expired(self.now()) { Life::Expired } else { Life::Good };
            return Err(match info.refreshed_by() {
                Some(owner) => self.owned(owner, life),
                None => Problem::not_renewable(&self.key, life),
            });
        }
        let now = self.now();
        if self.unsaved.is_none() && self.pace.may_ask(now) {
            self.refresh().await;
        }
        let problem = self.unsaved.as_ref().map(Unsaved::problem).or(self.pace.trouble.as_ref());
        match (problem, &self.held) {
            (Some(problem), _) => Err(problem.clone()),
            (None, Some(held)) => Ok(Stored::clone(held)),
            (None, None) => self.answer(),
        }
    }

    fn is_due_before_run(&mut self) -> bool {
        let now = self.now();
        let (Some(held), Some(provider)) = (&self.held, self.refreshable()) else { return false };
        let Some(expiry) = held.credential.info().expires_at() else { return false };
        let interval = provider.refresh_interval();
        let schedule = &self.shared.schedule;
        let from = schedule.renew_before_run_at(expiry, self.pace.obtained, interval);
        from <= now && self.pace.may_call(now)
    }

    fn answer(&self) -> Answer {
        let now = self.now();
        let trouble = self.pace.trouble.as_ref();
        let Some(held) = &self.held else {
            let problem = self.unread.as_ref().or(trouble);
            return Err(problem.cloned().unwrap_or_else(|| Problem::removed(&self.key)));
        };
        match (trouble, self.has_expired(now)) {
            (Some(problem), true) => Err(problem.clone()),
            (Some(problem), false) if self.pace.is_given_up() => Err(problem.clone()),
            (None, true) => Err(self.expired()),
            (_, false) => Ok(Stored::clone(held)),
        }
    }

    /// Says what is wrong with an expired credential about which nothing else is known.
    fn expired(&self) -> Problem {
        let owner = self.held.as_ref().and_then(|held| held.credential.info().refreshed_by());
        match owner {
            Some(owner) => self.owned(owner, Life::Expired),
            None if self.refreshable().is_some() => Problem::awaits_renewal(&self.key),
            None => Problem::expired(&self.key),
        }
    }

    fn state(&mut self) -> State {
        let now = self.now();
        let due = self.due_in().unwrap_or_default();
        if self.held.is_none() {
            return match (&self.unread, &self.pace.trouble) {
                (Some(problem), _) => retrying(now, self.shared.schedule.store_poll(), problem),
                (None, Some(problem)) => State::Removed(problem.clone()),
                (None, None) => State::Refreshing,
            };
        }
        if self.activity == Activity::Refreshing {
            return State::Refreshing;
        }
        if let Some(unsaved) = &self.unsaved {
            return State::Unsaved(unsaved.problem().clone());
        }
        if let Some(problem) = &self.pace.trouble {
            return if problem.kind().needs_person() {
                State::NeedsPerson(problem.clone())
            } else {
                retrying(now, due, problem)
            };
        }
        if let Some(problem) = &self.unread {
            return retrying(now, self.shared.schedule.store_poll(), problem);
        }
        if self.has_expired(now) {
            let problem = self.expired();
            return if problem.kind().needs_person() {
                State::NeedsPerson(problem)
            } else {
                retrying(now, due, &problem)
            };
        }
        let held = self.held.as_ref();
        match held.and_then(|held| held.credential.info().refreshed_by()) {
            Some(owner) => State::OwnedElsewhere(self.owned(owner, Life::Good)),
            None => State::Fresh,
        }
    }

    /// Shows subscribers what there is.
    fn publish(&mut self) {
        let snapshot = Snapshot {
            stored: self.held.clone(),
            revision: self.revision,
            removals: self.removals,
            state: self.state(),
            is_loaded: true,
        };
        self.slot.status().send_if_modified(|shown| {
            let is_other = !shown.is_loaded
                || shown.revision != snapshot.revision
                || shown.generation() != snapshot.generation()
                || shown.state != snapshot.state;
            if is_other {
                *shown = snapshot;
            }
            is_other
        });
    }

    /// Tries once more to save what is not saved.
    async fn end(&mut self) {
        if self.unsaved.is_some() {
            self.save_again().await;
        }
        if self.unsaved.is_some() {
            tracing::error!(key = %self.key, "the renewed credential is lost: grant it anew");
            self.shared.lose(&self.key);
        }
    }
}

fn retrying(now: OffsetDateTime, wait: Duration, problem: &Problem) -> State {
    State::Retrying { at: from_now(now, wait), problem: problem.clone() }
}
