//! The time, as all processes of one machine see it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moat_provider_core::{BoxFuture, Clock};
use time::OffsetDateTime;

/// The clock of the system, for the proxy that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Returns nanoseconds since the epoch, to compare with those of another process.
#[expect(clippy::disallowed_methods, reason = "two processes have no other clock in common")]
pub(crate) fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
