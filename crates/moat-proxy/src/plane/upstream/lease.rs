//! The right to send one request on a connection to a host.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use tokio::time::{Instant, Sleep};
use tokio_util::either::Either;

use super::Protocol;
use super::pool::Slot;
use crate::plane::body::Body;

/// The request that goes to a host.
pub(crate) type Request = http::Request<Body>;

/// The right to send one request on a connection.
pub(crate) struct Lease {
    way: Way,
    /// Whether the connection has carried a request before.
    reused: bool,
}

enum Way {
    /// With the place where the connection is kept for the next request.
    Http1(Http1, Option<Arc<Slot>>),
    Http2 {
        sender: http2::SendRequest<Body>,
        _stream: StreamPermit,
        timer: Option<Timer>,
    },
}

/// A connection of HTTP/1.1.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Body>,
    timer: Option<Timer>,
}

impl Http1 {
    pub(super) fn new(sender: http1::SendRequest<Body>) -> Self {
        Self { sender, timer: None }
    }
}

/// Wakes who waits for an answer. The connection keeps it: to put a timer off costs less than to
/// set one up.
struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// Returns the timer, to go off at this time.
    fn at(timer: &mut Option<Self>, end: Instant) -> Pin<&mut Sleep> {
        if let Some(timer) = timer {
            timer.0.as_mut().reset(end);
        }
        timer.get_or_insert_with(|| Self(Box::pin(tokio::time::sleep_until(end)))).0.as_mut()
    }
}

/// Counts as an open stream until it is dropped.
pub(crate) struct StreamPermit(Arc<AtomicUsize>);

impl StreamPermit {
    /// Counts one that is open already.
    pub(super) fn of_opened(streams: &Arc<AtomicUsize>) -> Self {
        Self(Arc::clone(streams))
    }

    pub(super) fn open(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self::of_opened(streams)
    }
}

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

impl SendError {
    fn new(mut error: TrySendError<Request>) -> Self {
        let unsent = error.take_message();
        Self { error: error.into_error(), unsent }
    }
}

impl Lease {
    /// Lends a connection of HTTP/1.1 that has not carried a request yet.
    pub(super) fn fresh_http1(connection: Http1, home: Option<Arc<Slot>>) -> Self {
        Self { way: Way::Http1(connection, home), reused: false }
    }

    /// Lends a connection of HTTP/1.1 that has.
    pub(super) fn idle_http1(connection: Http1, home: Arc<Slot>) -> Self {
        Self { way: Way::Http1(connection, Some(home)), reused: true }
    }

    /// Lends a connection of HTTP/2 for one stream.
    pub(super) fn http2(
        sender: http2::SendRequest<Body>,
        stream: StreamPermit,
        reused: bool,
    ) -> Self {
        Self { way: Way::Http2 { sender, _stream: stream, timer: None }, reused }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self.way {
            Way::Http1(..) => Protocol::Http1,
            Way::Http2 { .. } => Protocol::Http2,
        }
    }

    /// Whether the connection has carried a request before, so that the host may just have closed
    /// it.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends a request and waits for the head of the answer; `None` when it does not come in time.
    /// The wait begins anew as long as what `progress` returns changes.
    pub(crate) fn send(
        &mut self,
        request: Request,
        limit: Duration,
        progress: impl Fn() -> u64,
    ) -> impl Future<Output = Option<Result<Response<Incoming>, SendError>>> {
        let (sent, timer) = match &mut self.way {
            Way::Http1(Http1 { sender, timer }, _) => {
                (Either::Left(sender.try_send_request(request)), timer)
            }
            Way::Http2 { sender, timer, .. } => {
                (Either::Right(sender.try_send_request(request)), timer)
            }
        };
        let mut timer = Timer::at(timer, Instant::now() + limit);
        async move {
            let mut sent = std::pin::pin!(sent);
            let mut before = progress();
            loop {
                tokio::select! {
                    biased;
                    answered = &mut sent => return Some(answered.map_err(SendError::new)),
                    () = &mut timer => {
                        let now = progress();
                        if std::mem::replace(&mut before, now) == now {
                            return None;
                        }
                        timer.as_mut().reset(Instant::now() + limit);
                    }
                }
            }
        }
    }

    /// Gives the connection back, after the last byte of an answer.
    pub(crate) fn release(self) {
        let Way::Http1(mut connection, Some(home)) = self.way else { return };
        if connection.sender.is_ready() {
            home.put(connection);
            return;
        }
        // The connection has yet to see that the exchange is over, or a request still uploads.
        tokio::spawn(async move {
            if connection.sender.ready().await.is_ok() {
                home.put(connection);
            }
        });
    }
}
