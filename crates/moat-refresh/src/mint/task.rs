//! The task of one mint: mints, renews, revokes.

use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{Credential, Error, Minted, MintingProvider, Provider, RunContext};
use moat_store::Stored;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Answer, Place, has_expired};
use crate::deadline::{Deadline, Next, Provoked, from_now};
use crate::limit::limited;
use crate::refresher::Shared;
use crate::schedule::{LONGEST_SLEEP, Network, bounded};
use crate::slot::locked;
use crate::{Problem, ProblemKind, Snapshot, State, Subscription};

/// How many secrets that others took the place of may wait for their expiry or the end of the run.
const MOST_SUPERSEDED: usize = 8;

/// Keeps the minted secrets of one run and one credential good.
pub(super) struct MintTask {
    shared: Arc<Shared>,
    provider: Arc<dyn Provider>,
    subscription: Subscription,
    run: Arc<RunContext>,
    place: Arc<Place>,
    credential: Snapshot,
    /// The newest credential that there was, for revocations.
    last: Option<Credential>,
    minted: Option<Minted>,
    /// Open requests may still use them.
    superseded: Vec<Minted>,
    revision: u64,
    next: Next,
    not_before: Deadline,
    failures: u32,
    trouble: Option<Problem>,
    provoked: Provoked,
    rejected: Option<u64>,
}

impl MintTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        provider: Arc<dyn Provider>,
        subscription: Subscription,
        run: Arc<RunContext>,
        place: &Arc<Place>,
    ) -> Self {
        let credential = subscription.snapshot();
        Self {
            shared,
            provider,
            run,
            place: Arc::clone(place),
            last: credential.credential().cloned(),
            credential,
            subscription,
            minted: None,
            superseded: Vec::new(),
            revision: 0,
            next: Next::After(Deadline::over()),
            not_before: Deadline::over(),
            failures: 0,
            trouble: None,
            provoked: Provoked::default(),
            rejected: None,
        }
    }

    /// Runs until the handle is ended or dropped, or the engine is shut down.
    pub(super) async fn run(mut self, end: CancellationToken) {
        let stop = self.shared.stop.clone();
        let clock = Arc::clone(self.shared.cx.clock());
        let place = Arc::clone(&self.place);
        while !stop.is_cancelled() && !end.is_cancelled() {
            self.work().await;
            let wait = self.wait();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = end.cancelled() => {}
                credential = self.subscription.changed() => match credential {
                    Some(credential) => self.follow(credential),
                    None => break,
                },
                () = place.wake.notified() => {}
                () = clock.sleep(wait) => {}
            }
        }
        let result = self.revoke_all().await;
        self.place.status.send_modify(|status| status.end = Some(result));
    }

    fn now(&self) -> OffsetDateTime {
        self.shared.now()
    }

    /// Takes another state of the credential.
    fn follow(&mut self, credential: Snapshot) {
        let is_other = credential.revision() != self.credential.revision();
        let was_removed = credential.removals() != self.credential.removals();
        self.credential = credential;
        if !is_other {
            return;
        }
        if let Some(credential) = self.credential.credential() {
            self.last = Some(credential.clone());
            self.next = Next::After(Deadline::over());
            self.failures = 0;
            self.trouble = None;
        } else {
            self.next = Next::Never;
            self.trouble = Some(Problem::removed(self.subscription.key()));
        }
        // What was derived from a grant that is gone must not be used any more.
        if was_removed {
            self.supersede(None);
        }
    }

    async fn work(&mut self) {
        let (ensure, rejected) = {
            let mut inbox = locked(&self.place.inbox);
            (std::mem::take(&mut inbox.ensure), inbox.rejected.take())
        };
        let now = self.now();
        if rejected == Some(self.revision) && self.rejected.replace(self.revision) != rejected {
            let wait = self.provoked.wait(self.not_before.left(now), now, &self.shared.schedule);
            if !self.is_given_up() {
                self.next = Next::After(Deadline::after(now, wait));
            }
        }
        if self.due_in().is_some_and(|wait| wait.is_zero()) {
            self.mint().await;
        }
        let now = self.now();
        let is_bad = self.minted.as_ref().is_none_or(|minted| has_expired(minted, now));
        let is_wanted = ensure.iter().any(|caller| !caller.is_closed());
        if is_wanted && is_bad && !self.is_given_up() && self.not_before.is_over(now) {
            self.mint().await;
        }
        self.publish(None);
        for caller in ensure {
            // A caller that no longer waits.
            let _ = caller.send(self.answer());
        }
        self.forget_expired();
        while self.superseded.len() > MOST_SUPERSEDED {
            let oldest = self.superseded.remove(0);
            // It is logged.
            let _ = self.revoke(&oldest).await;
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(self.next, Next::Never) && self.trouble.is_some()
    }

    fn due_in(&mut self) -> Option<Duration> {
        let now = self.now();
        let left = self.next.left(now)?;
        let at_least = match self.next {
            Next::At(_) => self.not_before.left(now),
            _ => Duration::ZERO,
        };
        Some(left.max(at_least))
    }

    fn wait(&mut self) -> Duration {
        self.due_in().map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP))
    }

    async fn mint(&mut self) {
        let now = self.now();
        // What happened to the credential since.
        let credential = self.subscription.snapshot();
        self.follow(credential);
        let Some(stored) = self.credential.stored.clone() else { return };
        self.not_before = Deadline::after(now, self.shared.schedule.spacing());
        self.publish(Some(State::Refreshing));
        let provider = Arc::clone(&self.provider);
        let Some(provider) = provider.as_minting() else { return };
        match self.call(provider, &stored).await {
            None => self.fail(Problem::timed_out(self.subscription.key())),
            Some(Ok(minted)) => self.take(minted),
            Some(Err(error)) => {
                let problem = Problem::of_provider(self.subscription.key(), &error);
                if problem.kind() == ProblemKind::Revoked {
                    // The vendor does not accept the credential itself.
                    self.subscription.rejected(stored.generation);
                }
                self.fail(problem);
            }
        }
    }

    async fn call(
        &self,
        provider: &dyn MintingProvider,
        stored: &Stored,
    ) -> Option<Result<Minted, Error>> {
        let cx = &self.shared.cx;
        let call = provider.mint(cx, &stored.credential, &self.run);
        limited(&**cx.clock(), self.shared.schedule.call_limit(), call).await
    }

    fn take(&mut self, minted: Minted) {
        let now = self.now();
        let entropy = &**self.shared.cx.entropy();
        self.next = match minted.expires_at() {
            Some(expiry) => Next::At(self.shared.schedule.renew_at(expiry, Some(now), entropy)),
            None => Next::Never,
        };
        self.failures = 0;
        self.trouble = None;
        self.supersede(Some(minted));
        tracing::debug!(
            key = %self.subscription.key(), run = %self.run.id(), revision = self.revision, "minted"
        );
    }

    /// Puts other secrets in the place of those that there are.
    fn supersede(&mut self, minted: Option<Minted>) {
        self.revision += 1;
        self.superseded.extend(std::mem::replace(&mut self.minted, minted));
    }

    fn forget_expired(&mut self) {
        let now = self.now();
        self.superseded.retain(|minted| !has_expired(minted, now));
    }

    fn fail(&mut self, problem: Problem) {
        let now = self.now();
        self.failures = self.failures.saturating_add(1);
        let (failures, network) = match problem.kind() {
            ProblemKind::Offline => (self.failures, Network::Offline),
            ProblemKind::Failed => (u32::MAX, Network::Reached),
            _ => (self.failures, Network::Reached),
        };
        let entropy = &**self.shared.cx.entropy();
        let retry_after = problem.retry_after();
        let wait = self.shared.schedule.retry(failures, network, retry_after, entropy);
        self.next = match problem.kind() {
            ProblemKind::Revoked | ProblemKind::Expired => Next::Never,
            _ => Next::After(Deadline::after(now, wait)),
        };
        let least = self.shared.schedule.spacing().max(bounded(retry_after));
        self.not_before = Deadline::after(now, least);
        let (kind, error) = (problem.kind(), problem.error_kind());
        let (key, run) = (self.subscription.key(), self.run.id());
        tracing::warn!(%key, %run, ?kind, ?error, ?wait, "minting failed");
        self.trouble = Some(problem);
    }

    fn answer(&self) -> Answer {
        let now = self.now();
        match (&self.minted, &self.trouble) {
            (Some(minted), _) if !has_expired(minted, now) => Ok(minted.clone()),
            (_, Some(problem)) => Err(problem.clone()),
            _ => Err(Problem::awaits_renewal(self.subscription.key())),
        }
    }

    fn publish(&mut self, state: Option<State>) {
        let now = self.now();
        let due = self.due_in().unwrap_or_default();
        let state = state.unwrap_or_else(|| match &self.trouble {
            None => State::Fresh,
            Some(problem) if problem.kind() == ProblemKind::Removed => {
                State::Removed(problem.clone())
            }
            Some(problem) if problem.kind().needs_person() => State::NeedsPerson(problem.clone()),
            Some(problem) => State::Retrying { at: from_now(now, due), problem: problem.clone() },
        });
        self.place.status.send_if_modified(|shown| {
            let is_other = shown.revision != self.revision || shown.state != state;
            shown.minted.clone_from(&self.minted);
            shown.revision = self.revision;
            shown.state = state;
            is_other
        });
    }

    /// Revokes whatever may still be valid.
    async fn revoke_all(&mut self) -> Result<(), Problem> {
        self.forget_expired();
        let now = self.now();
        let minted = self.minted.take().filter(|minted| !has_expired(minted, now));
        let mut result = Ok(());
        for minted in std::mem::take(&mut self.superseded).into_iter().chain(minted) {
            result = result.and(self.revoke(&minted).await);
        }
        result
    }

    async fn revoke(&self, minted: &Minted) -> Result<(), Problem> {
        let (Some(provider), Some(credential)) = (self.provider.as_minting(), &self.last) else {
            return Ok(());
        };
        let (cx, key) = (&self.shared.cx, self.subscription.key());
        let call = provider.revoke_minted(cx, credential, minted.secrets());
        let problem = match limited(&**cx.clock(), self.shared.schedule.call_limit(), call).await {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => Problem::of_provider(key, &error),
            None => Problem::timed_out(key),
        };
        let (run, kind) = (self.run.id(), problem.kind());
        tracing::warn!(%key, %run, ?kind, "minted secrets were not revoked");
        Err(problem)
    }
}
