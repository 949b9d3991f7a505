//! A spinner for what takes longer than half a second.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use indicatif::{ProgressBar, ProgressStyle};
use moat_provider_core::{BoxFuture, HttpClient, Result};

use super::line;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(100);

/// A client that shows which host it waits for. The spinner is gone when the answer is there, so
/// that it never stands beside a question.
pub(crate) struct Waiting(Arc<dyn HttpClient>);

impl Waiting {
    /// Wraps a client.
    pub(crate) fn new(client: Arc<dyn HttpClient>) -> Self {
        Self(client)
    }
}

impl HttpClient for Waiting {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>> {
        Box::pin(async move {
            let what = format!("asking {}", line(request.uri().host().unwrap_or_default()));
            while_waiting(&what, self.0.send(request)).await
        })
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Shows a spinner on standard error, when that is a terminal, while something takes long.
pub(crate) async fn while_waiting<T>(what: &str, future: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return future.await;
    }
    let mut future = std::pin::pin!(future);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut future).await {
        return done;
    }
    let spinner = Spinner::start(what);
    let done = future.await;
    drop(spinner);
    done
}

/// A spinner that is gone when it is dropped, however that comes.
struct Spinner(ProgressBar);

impl Spinner {
    fn start(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
