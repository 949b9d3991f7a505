//! A clock that only a test moves.

use std::sync::Mutex;
use std::time::Duration;

use moat_provider_core::{BoxFuture, Clock};
use time::OffsetDateTime;

use super::script::lock;

/// How often code may sleep before the test gives up on it.
const MOST_SLEEPS: usize = 10_000;

/// A clock that stands still until it is moved.
///
/// Sleeping moves it and completes at once.
#[derive(Debug)]
pub struct FakeClock(Mutex<State>);

#[derive(Debug)]
struct State {
    now: OffsetDateTime,
    slept: Vec<Duration>,
}

impl FakeClock {
    /// Starts at 2030-03-17 17:46:40 UTC.
    #[must_use]
    pub fn new() -> Self {
        let later = Duration::from_secs(1_900_000_000);
        Self::at(OffsetDateTime::UNIX_EPOCH + later)
    }

    /// Starts at a time.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Mutex::new(State { now, slept: Vec::new() }))
    }

    /// Moves the clock.
    pub fn advance(&self, duration: Duration) {
        lock(&self.0).now += duration;
    }

    /// Returns how long the code under test has slept, each time.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        lock(&self.0).slept.clone()
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> OffsetDateTime {
        lock(&self.0).now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut state = lock(&self.0);
            state.now += duration;
            state.slept.push(duration);
            assert!(
                state.slept.len() <= MOST_SLEEPS,
                "the code under test has slept {MOST_SLEEPS} times: it waits for something that \
                 never comes"
            );
        })
    }
}
