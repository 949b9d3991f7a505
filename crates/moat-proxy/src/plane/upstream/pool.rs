//! Connections of one run that are used again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease::{Http1, Lease, StreamPermit};
use super::{Offer, Protocol, Stream, Upstream};
use crate::plane::body::Body;
use crate::plane::destination::{Destination, Scheme};
use crate::plane::gather::Gather;
use crate::plane::limits::Limits;
use crate::plane::run::InForce;
use crate::plane::tasks::Tasks;
use crate::{Authority, Reason, Refusal};

/// Streams on one HTTP/2 connection before another is opened, whatever the host allows.
const STREAMS: usize = 100;

/// The connections of one run. Requests share one only if authority, scheme, credential identity and
/// handler are the same; roots and client certificate follow from the authority.
pub(crate) struct Pool {
    upstream: Arc<Upstream>,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    tasks: Tasks,
    reaping: AtomicBool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    authority: Authority,
    scheme: Scheme,
    identity: u64,
    turn: u64,
}

/// The connections that requests may share.
pub(crate) struct Slot {
    identity: u64,
    turn: u64,
    limits: Arc<Limits>,
    /// Whether the pool has let go of it. Changes while the connections are locked.
    closed: AtomicBool,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// What the host spoke last: to one with HTTP/2, requests wait for a connection in the making.
    protocol: Option<Protocol>,
    dialing: Option<Arc<Dialing>>,
    http1: VecDeque<(Http1, Instant)>,
    http2: Vec<Shared>,
}

/// An HTTP/2 connection.
struct Shared {
    sender: http2::SendRequest<Body>,
    streams: Arc<AtomicUsize>,
    /// How many streams the host allows.
    allowed: Arc<AtomicUsize>,
    used: Instant,
}

/// A connection in the making that others wait for.
struct Dialing {
    done: CancellationToken,
    failed: AtomicBool,
}

enum Found {
    Ready(Lease),
    Wait(Arc<Dialing>),
    Dial(Option<DialGuard>),
}

impl Pool {
    pub(crate) fn new(upstream: Arc<Upstream>, tasks: Tasks) -> Arc<Self> {
        let slots = Mutex::default();
        Arc::new(Self { upstream, slots, tasks, reaping: AtomicBool::new(false) })
    }

    /// Returns where the connections are kept that requests share which are judged alike. Of use
    /// for all of them, until [`Slot::serves`] says otherwise.
    pub(crate) fn slot(
        &self,
        handler: &InForce,
        destination: &Destination,
        identity: u64,
    ) -> Arc<Slot> {
        let (authority, scheme) = (destination.authority.clone(), destination.scheme);
        let turn = handler.turn;
        let new = || {
            let (closed, connections) = (AtomicBool::new(false), Mutex::default());
            let limits = Arc::clone(&self.upstream.limits);
            Arc::new(Slot { identity, turn, limits, closed, connections })
        };
        let mut slots = self.lock();
        Arc::clone(slots.entry(Key { authority, scheme, identity, turn }).or_insert_with(new))
    }

    /// Returns a connection on which a request can be sent, and opens one if there is none.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        slot: &Arc<Slot>,
    ) -> Result<Lease, Refusal> {
        let mut alone = false;
        loop {
            match slot.find(alone) {
                Found::Ready(lease) => return Ok(lease),
                Found::Wait(dialing) => {
                    dialing.done.cancelled().await;
                    // Whoever waited for one that failed does not wait for the next.
                    alone = dialing.failed.load(Ordering::Acquire);
                }
                Found::Dial(guard) => return self.dial(handler, destination, slot, guard).await,
            }
        }
    }

    /// Opens a connection, whatever there is already.
    pub(crate) async fn acquire_fresh(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        slot: &Arc<Slot>,
        offer: Offer,
    ) -> Result<Lease, Refusal> {
        let (stream, protocol) = self.upstream.connect(&**handler, destination, offer).await?;
        self.open(slot, stream, protocol, offer).await
    }

    async fn dial(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        slot: &Arc<Slot>,
        guard: Option<DialGuard>,
    ) -> Result<Lease, Refusal> {
        let lease = self.acquire_fresh(handler, destination, slot, Offer::Any).await?;
        if let Some(guard) = &guard {
            guard.dialing.failed.store(false, Ordering::Release);
        }
        Ok(lease)
    }

    /// Begins HTTP on a stream.
    async fn open(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        stream: Stream,
        protocol: Protocol,
        offer: Offer,
    ) -> Result<Lease, Refusal> {
        self.start_reaping();
        let failed = |_| Refusal::new(Reason::UpstreamProtocol);
        if protocol == Protocol::Http2 {
            let io = TokioIo::new(Gather::new(stream));
            let (sender, connection) = self.http2_builder().handshake(io).await.map_err(failed)?;
            let allowed = Arc::new(AtomicUsize::new(STREAMS));
            let (mut connection, latest) = (Box::pin(connection), Arc::clone(&allowed));
            self.spawn(std::future::poll_fn(move |cx| {
                let polled = connection.as_mut().poll(cx);
                latest.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            }));
            return Ok(slot.share(sender, allowed));
        }
        let head_bytes = self.upstream.limits.head_bytes;
        let io = TokioIo::new(stream);
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_header_size(head_bytes)
            .max_buf_size(2 * head_bytes.max(8192))
            .handshake(io)
            .await
            .map_err(failed)?;
        let http1 = Http1::new(sender);
        if offer == Offer::Http1 {
            self.spawn(connection.with_upgrades());
            return Ok(Lease::fresh_http1(http1, None));
        }
        self.spawn(connection);
        slot.lock().protocol = Some(Protocol::Http1);
        Ok(Lease::fresh_http1(http1, Some(Arc::clone(slot))))
    }

    fn http2_builder(&self) -> http2::Builder<TokioExecutor> {
        let limits = &self.upstream.limits;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(limits.ping / 2);
        builder
    }

    /// Drives a connection until it ends or the run does.
    fn spawn<C>(&self, connection: C)
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a host ended");
            }
        });
    }

    fn start_reaping(self: &Arc<Self>) {
        if self.reaping.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(self);
        let pause = self.upstream.limits.pool_idle / 3;
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(pool) = pool.upgrade() else { return };
                pool.reap();
            }
        });
    }

    fn reap(&self) {
        let now = Instant::now();
        // A slot that somebody knows is found there by its connections when they come back.
        self.lock().retain(|_, slot| slot.reap(now) || Arc::strong_count(slot) > 1);
    }

    /// Forgets every connection, those that are in use too once they come back.
    pub(crate) fn clear(&self) {
        self.lock().drain().for_each(|(_, slot)| slot.close());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether this is still where the connections are for a handler and an identity, of the
    /// destination that it was made for.
    pub(crate) fn serves(&self, handler: &InForce, identity: u64) -> bool {
        self.turn == handler.turn
            && self.identity == identity
            && !self.closed.load(Ordering::Relaxed)
    }

    /// Returns a connection that is open already and on which a request can be sent now.
    pub(crate) fn ready(self: &Arc<Self>) -> Option<Lease> {
        self.lock().ready(self)
    }

    fn find(self: &Arc<Self>, alone: bool) -> Found {
        let mut connections = self.lock();
        if let Some(lease) = connections.ready(self) {
            return Found::Ready(lease);
        }
        if alone || connections.protocol == Some(Protocol::Http1) {
            return Found::Dial(None);
        }
        if let Some(dialing) = &connections.dialing {
            return Found::Wait(Arc::clone(dialing));
        }
        let dialing =
            Arc::new(Dialing { done: CancellationToken::new(), failed: AtomicBool::new(true) });
        connections.dialing = Some(Arc::clone(&dialing));
        Found::Dial(Some(DialGuard { slot: Arc::clone(self), dialing }))
    }

    fn share(&self, sender: http2::SendRequest<Body>, allowed: Arc<AtomicUsize>) -> Lease {
        let streams = Arc::new(AtomicUsize::new(1));
        let shared = Shared {
            sender: sender.clone(),
            streams: Arc::clone(&streams),
            allowed,
            used: Instant::now(),
        };
        let mut connections = self.lock();
        connections.protocol = Some(Protocol::Http2);
        if !self.closed.load(Ordering::Relaxed) {
            connections.http2.push(shared);
        }
        Lease::http2(sender, StreamPermit::of_opened(&streams), false)
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, connection: Http1) {
        let mut connections = self.lock();
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        connections.http1.push_back((connection, Instant::now()));
        if connections.http1.len() > self.limits.pool_idle_per_host {
            connections.http1.pop_front();
        }
    }

    /// Closes what has been idle for too long; whether anything is left.
    fn reap(&self, now: Instant) -> bool {
        let mut connections = self.lock();
        connections.http1.retain(|(http1, since)| {
            !http1.sender.is_closed() && now - *since < self.limits.pool_idle
        });
        connections.http2.retain_mut(|shared| shared.is_usable(&self.limits, now));
        connections.dialing.is_some()
            || !connections.http1.is_empty()
            || !connections.http2.is_empty()
    }

    fn close(&self) {
        let mut connections = self.lock();
        self.closed.store(true, Ordering::Relaxed);
        connections.http1.clear();
        connections.http2.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn ready(&mut self, slot: &Arc<Slot>) -> Option<Lease> {
        self.http2(&slot.limits).or_else(|| self.http1(slot))
    }

    fn http2(&mut self, limits: &Limits) -> Option<Lease> {
        if self.http2.is_empty() {
            return None;
        }
        let now = Instant::now();
        self.http2.retain_mut(|shared| shared.is_usable(limits, now));
        let full = self.http2.len() >= limits.pool_h2_per_host;
        let shared = self.http2.iter_mut().min_by_key(|shared| shared.load())?;
        if shared.load() >= shared.capacity() && !full {
            return None;
        }
        shared.used = now;
        Some(Lease::http2(shared.sender.clone(), StreamPermit::open(&shared.streams), true))
    }

    fn http1(&mut self, slot: &Arc<Slot>) -> Option<Lease> {
        // The last one in is the least likely to have been closed by the host.
        while let Some((http1, since)) = self.http1.pop_back() {
            if http1.sender.is_ready() && since.elapsed() < slot.limits.pool_idle {
                return Some(Lease::idle_http1(http1, Arc::clone(slot)));
            }
        }
        None
    }
}

impl Shared {
    fn load(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    fn capacity(&self) -> usize {
        self.allowed.load(Ordering::Relaxed).clamp(1, STREAMS)
    }

    fn is_usable(&mut self, limits: &Limits, now: Instant) -> bool {
        if self.load() > 0 {
            self.used = now;
        }
        !self.sender.is_closed() && now - self.used < limits.pool_idle
    }
}

/// Wakes those who wait, also when the one who dials is dropped.
struct DialGuard {
    slot: Arc<Slot>,
    dialing: Arc<Dialing>,
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        self.slot.lock().dialing = None;
        self.dialing.done.cancel();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
