//! Putting the rules of a run together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use moat_provider_core::{Clock, CredentialKey, EndpointRouter, RunContext, SecretSource};
use tokio_util::sync::CancellationToken;

use super::snapshot::Snapshot;
use super::state::{Served, State};
use super::{Keeper, RunRules};
use crate::engine::Generation;
use crate::{AddressPolicy, Policy, Refusal};

/// Puts [`RunRules`] together.
pub struct RunRulesBuilder {
    run: Arc<RunContext>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    generation: Generation,
    addresses: AddressPolicy,
    served: Vec<Served>,
    keeper: Option<Arc<dyn Keeper>>,
    revocations: BTreeMap<CredentialKey, CancellationToken>,
    previous: Option<Arc<State>>,
}

impl RunRules {
    /// Begins with what every run has. Which addresses may be reached follows from the policy.
    #[must_use]
    pub fn builder(
        run: Arc<RunContext>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        generation: Generation,
    ) -> RunRulesBuilder {
        RunRulesBuilder {
            addresses: AddressPolicy::new(&policy),
            run,
            clock,
            policy,
            generation,
            served: Vec::new(),
            keeper: None,
            revocations: BTreeMap::new(),
            previous: None,
        }
    }
}

impl RunRulesBuilder {
    /// Replaces what follows from the policy: with the proxy's own listeners and the machine's
    /// addresses, which a host should state.
    #[must_use]
    pub fn addresses(mut self, addresses: AddressPolicy) -> Self {
        self.addresses = addresses;
        self
    }

    /// Serves the endpoints of a grant to the run, at the proxy's own address below `/GRANT`: where
    /// [`RunContext::endpoint_url`] has them.
    #[must_use]
    pub fn endpoints(
        mut self,
        grant: &CredentialKey,
        router: EndpointRouter,
        secrets: Arc<dyn SecretSource>,
    ) -> Self {
        self.generation = self.generation.knowing(router.tokens().map(|(_, token)| token));
        self.served.push(Served { prefix: format!("/{grant}"), router, secrets });
        self
    }

    /// Tells somebody what becomes of the secrets.
    #[must_use]
    pub fn keeper(mut self, keeper: Arc<dyn Keeper>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Ends what is open with a grant's secret when the token is cancelled: requests, streams and
    /// WebSockets.
    #[must_use]
    pub fn revocation(mut self, grant: CredentialKey, token: CancellationToken) -> Self {
        self.revocations.insert(grant, token);
        self
    }

    /// Follows the rules of an earlier generation of the same run: keeps the secrets that answers
    /// issued under those, also while they are still in use, and looks for the secrets of the last
    /// of them in answers, for a vendor may show what it was sent before.
    #[must_use]
    pub fn succeeding(mut self, previous: &RunRules) -> Self {
        self.previous = Some(Arc::clone(&previous.0));
        self
    }

    /// Finishes.
    ///
    /// # Errors
    ///
    /// [`Reason::UnfitSecret`](crate::Reason::UnfitSecret) when a secret that an answer issued does
    /// not fit any more.
    pub fn build(self) -> Result<RunRules, Refusal> {
        let snapshot = Snapshot::new(self.generation);
        let snapshot = match &self.previous {
            Some(previous) => snapshot.following(&previous.current.load()),
            None => snapshot,
        };
        let number = self.previous.as_ref().map_or(1, |previous| previous.number + 1);
        let state = Arc::new(State {
            run: self.run,
            policy: self.policy,
            addresses: self.addresses,
            clock: self.clock,
            current: ArcSwap::from_pointee(snapshot),
            number,
            served: self.served,
            keeper: self.keeper,
            rejected: Mutex::new(BTreeSet::new()),
            revocations: self.revocations,
            minted: AtomicU64::new(0),
            successor: Mutex::default(),
        });
        if let Some(previous) = self.previous {
            // Under the lock, so that no secret is issued between the copy and the link.
            let mut successor = previous.successor.lock().unwrap_or_else(PoisonError::into_inner);
            let held: Vec<_> = previous.current.load().generation().bindings().cloned().collect();
            state.bind(&held)?;
            *successor = Arc::downgrade(&state);
        }
        Ok(RunRules(state))
    }
}

impl fmt::Debug for RunRulesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRulesBuilder").field("run", self.run.id()).finish_non_exhaustive()
    }
}
