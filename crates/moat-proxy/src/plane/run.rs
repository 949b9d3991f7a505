//! One run of the proxy: who it is, what applies to it, what it has open.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use moat_provider_core::RunId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::plane::ca::CertificateAuthority;
use crate::plane::identity::TokenHash;
use crate::plane::leaf::Leaves;
use crate::plane::proxy::Shared;
use crate::plane::seam::Handler;
use crate::plane::tasks::Tasks;
use crate::plane::upstream::Pool;
use crate::{Reason, Refusal};

/// How long a stopped run may take to close what it has open.
const STOP: Duration = Duration::from_secs(2);

/// A run, as the proxy sees it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) pool: Arc<Pool>,
    /// Everything of the run, tunnels and connections to hosts.
    pub(crate) tasks: Tasks,
    pub(crate) stop: CancellationToken,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) samples: usize,
    handler: ArcSwap<InForce>,
    tunnels: Arc<Semaphore>,
}

/// The handler that is in force.
pub(crate) struct InForce {
    handler: Arc<dyn Handler>,
    /// How many were in force before. A connection serves one turn: another handler may judge
    /// addresses otherwise.
    pub(crate) turn: u64,
}

impl Deref for InForce {
    type Target = dyn Handler;

    fn deref(&self) -> &Self::Target {
        &*self.handler
    }
}

impl Run {
    /// Returns the handler that is in force now.
    pub(crate) fn handler(&self) -> arc_swap::Guard<Arc<InForce>> {
        self.handler.load()
    }

    /// Takes one of the run's tunnels.
    pub(crate) fn tunnel(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.tunnels)
            .try_acquire_owned()
            .map_err(|_| Refusal::new(Reason::TooManyTunnels))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the proxy must know of a run before the run begins.
#[derive(Debug)]
pub struct RunRegistration {
    id: RunId,
    handler: Arc<dyn Handler>,
    token: Option<TokenHash>,
    peer: Option<IpAddr>,
    samples: usize,
    authority: Option<Arc<CertificateAuthority>>,
}

impl RunRegistration {
    /// A usual length of body samples, in bytes: 8 KiB.
    pub const BODY_SAMPLE: usize = 8 * 1024;

    /// Describes a run that is reached through a listener of its own.
    #[must_use]
    pub fn new(id: RunId, handler: Arc<dyn Handler>) -> Self {
        Self { id, handler, token: None, peer: None, samples: 0, authority: None }
    }

    /// Lets clients on shared listeners name the run with a token. Only its hash is kept.
    #[must_use]
    pub fn token(mut self, token: &moat_provider_core::Secret) -> Self {
        self.token = Some(TokenHash::of_secret(token));
        self
    }

    /// Accepts the token from one address only: the container's.
    #[must_use]
    pub fn peer(mut self, address: IpAddr) -> Self {
        self.peer = Some(address);
        self
    }

    /// Gives the run a certificate authority of its own, instead of the proxy's.
    #[must_use]
    pub fn authority(mut self, authority: Arc<CertificateAuthority>) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Keeps the first bytes of each body of text in the record of its request: of a request's as
    /// the client sent it, of an answer's as the client gets it. Nothing is kept without this;
    /// [`BODY_SAMPLE`](Self::BODY_SAMPLE) is a good length.
    #[must_use]
    pub fn sample_bodies(mut self, bytes: usize) -> Self {
        self.samples = bytes;
        self
    }

    pub(crate) fn build(self, shared: &Arc<Shared>) -> (Arc<Run>, Option<TokenHash>) {
        let stop = shared.stop.child_token();
        let tasks = Tasks::new(stop.clone());
        let leaves = match self.authority {
            Some(authority) => Arc::new(shared.leaves_of(authority)),
            None => Arc::clone(&shared.leaves),
        };
        let pool = Pool::new(Arc::clone(&shared.upstream), tasks.clone());
        let run = Run {
            id: self.id,
            shared: Arc::clone(shared),
            leaves,
            pool,
            tasks,
            stop,
            peer: self.peer.map(|ip| ip.to_canonical()),
            samples: self.samples,
            handler: ArcSwap::from_pointee(InForce { handler: self.handler, turn: 0 }),
            tunnels: Arc::new(Semaphore::new(shared.limits.tunnels)),
        };
        (Arc::new(run), self.token)
    }
}

/// A registered run. It ends when this is stopped or dropped.
#[derive(Debug)]
pub struct RunHandle {
    run: Arc<Run>,
    token: Option<TokenHash>,
}

impl RunHandle {
    pub(crate) fn new(run: Arc<Run>, token: Option<TokenHash>) -> Self {
        Self { run, token }
    }

    /// Returns the identity of the run.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.run.id
    }

    /// Puts another handler in force, from the next request on, open tunnels included. Connections
    /// to hosts are opened anew, so that it judges their addresses.
    pub fn swap(&self, handler: Arc<dyn Handler>) {
        self.run.handler.rcu(|old| InForce { handler: Arc::clone(&handler), turn: old.turn + 1 });
        self.run.pool.clear();
    }

    /// Returns the certificate authority whose leaves the run's clients see.
    #[must_use]
    pub fn authority(&self) -> &Arc<CertificateAuthority> {
        self.run.leaves.authority()
    }

    /// Returns how many leaves were minted under that authority, and how many are kept.
    #[must_use]
    pub fn leaves(&self) -> (u64, usize) {
        (self.run.leaves.minted(), self.run.leaves.cached())
    }

    /// Ends the run: nobody is let in any more, and what is open closes within two seconds.
    pub async fn stop(self) {
        self.end();
        // Tasks end at their next poll; the bound is for one that is starved.
        _ = tokio::time::timeout(STOP, self.run.tasks.wait()).await;
    }

    pub(crate) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    fn end(&self) {
        if let Some(token) = &self.token {
            self.run.shared.runs.remove(token);
        }
        self.run.stop.cancel();
        // Also where there was never a task that would see the token.
        self.run.tasks.end();
        self.run.pool.clear();
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        self.end();
    }
}
