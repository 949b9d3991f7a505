//! The credentials of one run while it lives: stored ones that are kept fresh, and secrets that were
//! minted for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Credential, CredentialKey, Error, Registry, RunContext, SecretSource, Secrets,
};
use moat_proxy::Keeper;
use moat_proxy::plane::seam::Defer;
use moat_refresh::{Mint, Problem, Refresher, State, Subscription};
use moat_store::Generation;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::grants::GrantProblem;
use crate::rules::Credentials;

/// Follows the credentials of a run.
pub(crate) struct Live {
    grants: Vec<Grant>,
    keeper: Arc<RunKeeper>,
}

/// One credential of a run.
#[derive(Clone, Debug)]
struct Grant {
    subscription: Subscription,
    mint: Option<Arc<Mint>>,
}

impl Grant {
    fn key(&self) -> &CredentialKey {
        self.subscription.key()
    }

    /// Returns the secrets of now, stored and minted; `None` when the credential is gone.
    fn secrets(&self) -> Option<Secrets> {
        let snapshot = self.subscription.snapshot();
        let stored = snapshot.credential()?.secrets().clone();
        // What is being minted anew leaves its rules in force: a request waits for it, or is told
        // so, instead of going out with its placeholder.
        Some(match self.mint.as_ref().and_then(|mint| mint.minted()) {
            None => stored,
            Some(minted) => joined(&stored, minted.secrets()),
        })
    }
}

fn joined(stored: &Secrets, minted: &Secrets) -> Secrets {
    let all = stored.iter().chain(minted.iter());
    all.map(|(name, secret)| (name.clone(), secret.clone())).collect()
}

/// Begins to follow credentials, and sees to it that each is fresh.
///
/// # Errors
///
/// Everything that is wrong with any of them.
pub(crate) async fn watch(
    refresher: &Refresher,
    keys: &[CredentialKey],
) -> Result<Vec<Subscription>, Vec<GrantProblem>> {
    let (mut subscriptions, mut problems) = (Vec::new(), Vec::new());
    for key in keys {
        let fresh = async {
            let subscription = refresher.watch(key).await?;
            subscription.ensure_fresh().await?;
            Ok::<_, Problem>(subscription)
        };
        match fresh.await {
            Ok(subscription) => subscriptions.push(subscription),
            Err(problem) => problems.push(of(&problem)),
        }
    }
    if problems.is_empty() { Ok(subscriptions) } else { Err(problems) }
}

fn of(problem: &Problem) -> GrantProblem {
    GrantProblem::new(problem.key(), problem.message(), Some(problem.hint().to_owned()))
}

impl Live {
    /// Mints what the providers derive for a run.
    ///
    /// # Errors
    ///
    /// Everything that could not be minted.
    pub(crate) async fn begin(
        registry: &Registry,
        refresher: &Refresher,
        context: &Arc<RunContext>,
        subscriptions: Vec<Subscription>,
    ) -> Result<Self, Vec<GrantProblem>> {
        let (mut grants, mut problems) = (Vec::new(), Vec::new());
        for subscription in subscriptions {
            let key = subscription.key().clone();
            let provider = registry.get(key.provider().as_str());
            let mints = provider.is_some_and(|provider| provider.as_minting().is_some());
            let minted = match mints {
                true => {
                    refresher.mint(&key, Arc::clone(context)).await.map(|it| Some(Arc::new(it)))
                }
                false => Ok(None),
            };
            match minted {
                Ok(mint) => grants.push(Grant { subscription, mint }),
                Err(problem) => problems.push(of(&problem)),
            }
        }
        if !problems.is_empty() {
            end(&grants).await;
            return Err(problems);
        }
        let minted = |grant: &Grant| Some((grant.key().clone(), Arc::clone(grant.mint.as_ref()?)));
        let mints = grants.iter().filter_map(minted).collect();
        let keeper = RunKeeper {
            refresher: refresher.clone(),
            mints,
            in_force: Mutex::default(),
            swaps: watch::Sender::new(0),
        };
        Ok(Self { grants, keeper: Arc::new(keeper) })
    }

    /// Returns what the proxy asks about the credentials.
    pub(crate) fn keeper(&self) -> Arc<RunKeeper> {
        Arc::clone(&self.keeper)
    }

    /// Returns the stored credentials.
    pub(crate) fn stored(&self) -> Vec<Credential> {
        let credential = |grant: &Grant| grant.subscription.snapshot().credential().cloned();
        self.grants.iter().filter_map(credential).collect()
    }

    /// Returns the credentials of now; those that are gone are left out.
    pub(crate) fn credentials(&self) -> Credentials {
        let mut credentials = Credentials::default();
        for grant in &self.grants {
            if let (Some(info), Some(secrets)) =
                (grant.subscription.snapshot().info().cloned(), grant.secrets())
            {
                credentials.infos.push(info);
                credentials.secrets.insert(grant.key().clone(), secrets);
            }
        }
        credentials
    }

    /// Returns what hands today's secrets to endpoints.
    pub(crate) fn sources(&self) -> BTreeMap<CredentialKey, Arc<dyn SecretSource>> {
        let source = |grant: &Grant| {
            let source: Arc<dyn SecretSource> = Arc::new(LiveSecrets(grant.clone()));
            (grant.key().clone(), source)
        };
        self.grants.iter().map(source).collect()
    }

    /// Returns where each credential stands.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let standing = |grant: &Grant| {
            let snapshot = grant.subscription.snapshot();
            Standing {
                key: grant.key().clone(),
                revision: snapshot.revision(),
                minted: grant.mint.as_ref().map_or(0, |mint| mint.revision()),
                removals: snapshot.removals(),
                generation: snapshot.generation(),
                state: snapshot.state().clone(),
            }
        };
        self.grants.iter().map(standing).collect()
    }

    /// Tells of each change of a credential or a minted secret, until it is dropped.
    pub(crate) fn changes(&self) -> Changes {
        let (sender, receiver) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        for grant in &self.grants {
            let (mut subscription, told) = (grant.subscription.clone(), sender.clone());
            tasks.spawn(async move {
                while subscription.changed().await.is_some() {
                    // One that waits to be read is enough: what is there now is read then.
                    _ = told.try_send(());
                }
            });
            if let Some(mint) = &grant.mint {
                let (mut changes, told) = (mint.changes(), sender.clone());
                tasks.spawn(async move {
                    while changes.next().await.is_some() {
                        _ = told.try_send(());
                    }
                });
            }
        }
        Changes { receiver, _tasks: tasks }
    }

    /// Revokes what was minted.
    pub(crate) async fn end(&self) {
        end(&self.grants).await;
    }
}

async fn end(grants: &[Grant]) {
    for mint in grants.iter().filter_map(|grant| grant.mint.as_ref()) {
        if let Err(problem) = mint.end().await {
            tracing::warn!(%problem, "minted secrets could not be revoked");
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.grants.iter().map(Grant::key)).finish()
    }
}

/// Where one credential stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) key: CredentialKey,
    pub(crate) revision: u64,
    pub(crate) minted: u64,
    pub(crate) removals: u64,
    pub(crate) generation: Option<Generation>,
    pub(crate) state: State,
}

/// Changes of a run's credentials.
pub(crate) struct Changes {
    receiver: mpsc::Receiver<()>,
    _tasks: JoinSet<()>,
}

impl Changes {
    /// Waits until something has changed since this was last called.
    pub(crate) async fn next(&mut self) -> Option<()> {
        self.receiver.recv().await
    }
}

/// What the proxy asks and tells about the credentials of a run.
#[derive(Debug)]
pub(crate) struct RunKeeper {
    refresher: Refresher,
    mints: BTreeMap<CredentialKey, Arc<Mint>>,
    /// What the rules in force were made from.
    in_force: Mutex<Vec<Standing>>,
    /// How many swaps there were.
    swaps: watch::Sender<u64>,
}

impl RunKeeper {
    /// Hears what the rules are made from that are in force from now on.
    pub(crate) fn swapped(&self, standing: &[Standing]) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = standing.to_vec();
        self.swaps.send_modify(|swaps| *swaps += 1);
    }
}

impl Keeper for RunKeeper {
    fn prepare(&self, grants: &[CredentialKey]) -> Option<Defer> {
        let mut swaps = self.swaps.subscribe();
        let stored = self.refresher.prepare(grants);
        let minted = grants.iter().filter_map(|grant| self.mints.get(grant)?.prepare());
        let waits: Vec<_> = stored.into_iter().chain(minted).collect();
        if waits.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for wait in waits {
                wait.await;
            }
            // The rules follow a moment after. Where nothing was renewed, none do.
            _ = tokio::time::timeout(SWAP, swaps.changed()).await;
        }))
    }

    fn rejected(&self, grant: &CredentialKey) {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = in_force.iter().find(|standing| standing.key == *grant) else {
            return;
        };
        match (self.mints.get(grant), standing.generation) {
            (Some(mint), _) => mint.rejected(standing.minted),
            (None, Some(generation)) => self.refresher.rejected(grant, generation),
            (None, None) => {}
        }
    }
}

/// How long a request waits for the rules that follow a refresh.
const SWAP: Duration = Duration::from_secs(2);

/// The secrets of one grant as an endpoint hands them out.
#[derive(Debug)]
struct LiveSecrets(Grant);

impl SecretSource for LiveSecrets {
    fn current(&self) -> BoxFuture<'_, Result<(Secrets, Option<OffsetDateTime>), Error>> {
        Box::pin(async {
            let stored = self.0.subscription.ensure_fresh().await?;
            let stored = stored.credential.secrets();
            match &self.0.mint {
                None => Ok((stored.clone(), None)),
                Some(mint) => {
                    let minted = mint.ensure().await?;
                    Ok((joined(stored, minted.secrets()), minted.expires_at()))
                }
            }
        })
    }
}
