//! HTTP towards clients inside a tunnel.

use std::sync::Arc;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use crate::plane::forward;
use crate::plane::gather::Gather;
use crate::plane::io::{Rewind, Socket};
use crate::plane::lane::Lane;
use crate::plane::limits::Limits;
use crate::plane::linger::Linger;

/// A client's connection after its handshake.
pub(crate) type ClientTls = TlsStream<Rewind<Socket>>;

/// Serves the requests of one tunnel, in the HTTP version that the handshake agreed on.
pub(crate) async fn serve(stream: ClientTls, lane: Lane) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let limits = Arc::clone(&lane.run.shared.limits);
    let tasks = lane.run.tasks.tracker().clone();
    let lane = Arc::new(lane);
    let handle = move |request| {
        let lane = Arc::clone(&lane);
        async move { forward::handle(&lane, request).await }
    };
    let ended = if is_http2 {
        let io = TokioIo::new(Linger::new(Gather::new(stream)));
        // Boxed, because it is moved several times before a task of its own runs it. In HTTP/1.1 it
        // stays where it is: an allocation of that size takes a lock which all threads share.
        let service = service_fn(move |request| Box::pin(handle(request)));
        http2_builder(&limits, tasks).serve_connection(io, service).await
    } else {
        let io = TokioIo::new(Linger::new(stream));
        let service = service_fn(handle);
        http1_builder(&limits).serve_connection(io, service).with_upgrades().await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's tunnel ended");
    }
}

/// Sets HTTP/1.1 up, for the proxy's own port and for tunnels alike.
pub(crate) fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_header_size(limits.head_bytes)
        .max_buf_size(2 * limits.head_bytes.max(8192))
        .preserve_header_case(true)
        // The answer has the host's own date, or none.
        .auto_date_header(false);
    builder
}

fn http2_builder(limits: &Limits, tasks: TaskTracker) -> http2::Builder<RunExecutor> {
    let mut builder = http2::Builder::new(RunExecutor(tasks));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .auto_date_header(false)
        .keep_alive_interval(limits.header_read)
        // WebSocket over HTTP/2 (RFC 8441).
        .enable_connect_protocol();
    builder
}

/// Runs the streams of a connection as tasks of the run.
#[derive(Clone, Debug)]
struct RunExecutor(TaskTracker);

impl<F> Executor<F> for RunExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
