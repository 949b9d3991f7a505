//! A clock over Tokio's paused time, which can also be set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moat_provider_core::{BoxFuture, Clock};
use time::OffsetDateTime;
use tokio::time::Instant;

/// Goes on by itself when every task waits, because the tests pause Tokio's time.
#[derive(Debug)]
pub(crate) struct PausedClock {
    began: Instant,
    set_by: AtomicI64,
}

impl PausedClock {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), set_by: AtomicI64::new(0) }
    }

    /// Sets the time of day, as a resumed machine or a time server does, while no sleep ends sooner.
    pub(crate) fn set_by(&self, seconds: i64) {
        self.set_by.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Returns how much time has really passed.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> OffsetDateTime {
        let begin = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        begin + self.began.elapsed() + time::Duration::seconds(self.set_by.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
