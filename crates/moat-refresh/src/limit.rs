//! A limit of time on calls of providers.

use std::time::Duration;

use moat_provider_core::Clock;

/// Waits for a future, and gives it up after a while.
pub(crate) async fn limited<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}
