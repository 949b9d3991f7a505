//! Connections of one run that are used again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

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

/// The request that goes to a host.
pub(crate) type Request = http::Request<Body>;

/// The connections of one run. Requests share one only if authority, scheme, credential identity and
/// handler are the same; roots and client certificate follow from the authority.
pub(crate) struct Pool {
    upstream: Arc<Upstream>,
    slots: Mutex<HashMap<Key, Slot>>,
    tasks: Tasks,
    stop: CancellationToken,
    reaping: AtomicBool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    authority: Authority,
    scheme: Scheme,
    identity: u64,
    turn: u64,
}

impl Key {
    fn new(handler: &InForce, destination: &Destination, identity: u64) -> Self {
        let (authority, scheme) = (destination.authority.clone(), destination.scheme);
        Self { authority, scheme, identity, turn: handler.turn }
    }
}

#[derive(Default)]
struct Slot {
    /// What the host spoke last: to one with HTTP/2, requests wait for a connection in the making.
    protocol: Option<Protocol>,
    dialing: Option<Arc<Dialing>>,
    http1: VecDeque<(http1::SendRequest<Body>, Instant)>,
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
    pub(crate) fn new(upstream: Arc<Upstream>, tasks: Tasks, stop: CancellationToken) -> Arc<Self> {
        let slots = Mutex::default();
        Arc::new(Self { upstream, slots, tasks, stop, reaping: AtomicBool::new(false) })
    }

    /// Returns a connection that is open already and on which a request can be sent now.
    pub(crate) fn ready(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        identity: u64,
    ) -> Option<Lease> {
        let key = Key::new(handler, destination, identity);
        let mut slots = self.lock();
        let slot = slots.get_mut(&key)?;
        slot.ready(&self.upstream.limits, self, &key)
    }

    /// Returns a connection on which a request can be sent, and opens one if there is none.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        identity: u64,
    ) -> Result<Lease, Refusal> {
        let key = Key::new(handler, destination, identity);
        let mut alone = false;
        loop {
            match self.find(&key, alone) {
                Found::Ready(lease) => return Ok(lease),
                Found::Wait(dialing) => {
                    dialing.done.cancelled().await;
                    // Whoever waited for one that failed does not wait for the next.
                    alone = dialing.failed.load(Ordering::Acquire);
                }
                Found::Dial(guard) => return self.dial(handler, destination, key, guard).await,
            }
        }
    }

    /// Opens a connection, whatever there is already.
    pub(crate) async fn acquire_fresh(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        identity: u64,
        offer: Offer,
    ) -> Result<Lease, Refusal> {
        let key = Key::new(handler, destination, identity);
        let (stream, protocol) = self.upstream.connect(&**handler, destination, offer).await?;
        self.open(key, stream, protocol, offer).await
    }

    fn find(self: &Arc<Self>, key: &Key, alone: bool) -> Found {
        let limits = &*self.upstream.limits;
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_default();
        if let Some(lease) = slot.ready(limits, self, key) {
            return Found::Ready(lease);
        }
        if alone || slot.protocol == Some(Protocol::Http1) {
            return Found::Dial(None);
        }
        if let Some(dialing) = &slot.dialing {
            return Found::Wait(Arc::clone(dialing));
        }
        let dialing =
            Arc::new(Dialing { done: CancellationToken::new(), failed: AtomicBool::new(true) });
        slot.dialing = Some(Arc::clone(&dialing));
        Found::Dial(Some(DialGuard { pool: Arc::clone(self), key: key.clone(), dialing }))
    }

    async fn dial(
        self: &Arc<Self>,
        handler: &InForce,
        destination: &Destination,
        key: Key,
        guard: Option<DialGuard>,
    ) -> Result<Lease, Refusal> {
        let (stream, protocol) = self.upstream.connect(&**handler, destination, Offer::Any).await?;
        let lease = self.open(key, stream, protocol, Offer::Any).await?;
        if let Some(guard) = &guard {
            guard.dialing.failed.store(false, Ordering::Release);
        }
        Ok(lease)
    }

    /// Begins HTTP on a stream.
    async fn open(
        self: &Arc<Self>,
        key: Key,
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
            return Ok(self.share(key, sender, allowed));
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
        if offer == Offer::Http1 {
            self.spawn(connection.with_upgrades());
            return Ok(Lease::Http1 { sender, home: None, reused: false });
        }
        self.spawn(connection);
        self.lock().entry(key.clone()).or_default().protocol = Some(Protocol::Http1);
        Ok(Lease::Http1 { sender, home: Some((Arc::clone(self), key)), reused: false })
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

    fn share(
        &self,
        key: Key,
        sender: http2::SendRequest<Body>,
        allowed: Arc<AtomicUsize>,
    ) -> Lease {
        let streams = Arc::new(AtomicUsize::new(1));
        let shared = Shared {
            sender: sender.clone(),
            streams: Arc::clone(&streams),
            allowed,
            used: Instant::now(),
        };
        let mut slots = self.lock();
        let slot = slots.entry(key).or_default();
        slot.protocol = Some(Protocol::Http2);
        slot.http2.push(shared);
        Lease::Http2 { sender, _stream: StreamPermit(streams), reused: false }
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

    fn put(&self, key: &Key, sender: http1::SendRequest<Body>) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_default();
        slot.http1.push_back((sender, Instant::now()));
        if slot.http1.len() > self.upstream.limits.pool_idle_per_host {
            slot.http1.pop_front();
        }
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
        let limits = &self.upstream.limits;
        let now = Instant::now();
        self.lock().retain(|_, slot| {
            slot.http1.retain(|(sender, since)| {
                !sender.is_closed() && since.elapsed() < limits.pool_idle
            });
            slot.http2.retain_mut(|shared| shared.is_usable(limits, now));
            slot.dialing.is_some() || !slot.http1.is_empty() || !slot.http2.is_empty()
        });
    }

    /// Forgets every connection.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn ready(&mut self, limits: &Limits, pool: &Arc<Pool>, key: &Key) -> Option<Lease> {
        self.http2(limits).or_else(|| self.http1(limits, pool, key))
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
        shared.streams.fetch_add(1, Ordering::Relaxed);
        let _stream = StreamPermit(Arc::clone(&shared.streams));
        Some(Lease::Http2 { sender: shared.sender.clone(), _stream, reused: true })
    }

    fn http1(&mut self, limits: &Limits, pool: &Arc<Pool>, key: &Key) -> Option<Lease> {
        // The last one in is the least likely to have been closed by the host.
        while let Some((sender, since)) = self.http1.pop_back() {
            if sender.is_ready() && since.elapsed() < limits.pool_idle {
                let home = Some((Arc::clone(pool), key.clone()));
                return Some(Lease::Http1 { sender, home, reused: true });
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
    pool: Arc<Pool>,
    key: Key,
    dialing: Arc<Dialing>,
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        if let Some(slot) = self.pool.lock().get_mut(&self.key) {
            slot.dialing = None;
        }
        self.dialing.done.cancel();
    }
}

/// The right to send one request on a connection.
pub(crate) enum Lease {
    Http1 { sender: http1::SendRequest<Body>, home: Option<(Arc<Pool>, Key)>, reused: bool },
    Http2 { sender: http2::SendRequest<Body>, _stream: StreamPermit, reused: bool },
}

/// Counts as an open stream until it is dropped.
pub(crate) struct StreamPermit(Arc<AtomicUsize>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request without an answer.
pub(crate) struct SendError {
    pub(crate) error: hyper::Error,
    /// The request, when nothing of it was sent.
    pub(crate) unsent: Option<Request>,
}

impl Lease {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Http1 { .. } => Protocol::Http1,
            Self::Http2 { .. } => Protocol::Http2,
        }
    }

    /// Whether the connection has carried a request before, so that the host may just have closed
    /// it.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Http1 { reused, .. } | Self::Http2 { reused, .. } => *reused,
        }
    }

    /// Hands a request over at once; what is returned waits for the head of the answer.
    pub(crate) fn send(
        &mut self,
        request: Request,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError>> + use<> {
        let sent = match self {
            Self::Http1 { sender, .. } => Either::Left(sender.try_send_request(request)),
            Self::Http2 { sender, .. } => Either::Right(sender.try_send_request(request)),
        };
        async move {
            sent.await.map_err(|mut error: TrySendError<Request>| {
                let unsent = error.take_message();
                SendError { error: error.into_error(), unsent }
            })
        }
    }

    /// Gives the connection back, after the last byte of an answer.
    pub(crate) fn release(self) {
        let Self::Http1 { mut sender, home: Some((pool, key)), .. } = self else { return };
        if sender.is_ready() {
            pool.put(&key, sender);
            return;
        }
        // The connection has yet to see that the exchange is over, or a request still uploads.
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.put(&key, sender);
            }
        });
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
