//! The time of the system.

use std::time::Duration;

use moat_provider_core::{BoxFuture, Clock};
use time::OffsetDateTime;

/// The clock of the system, and the timer of the tokio runtime that polls.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
