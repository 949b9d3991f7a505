//! Waits that survive a clock that is set.

use std::time::Duration;

use time::OffsetDateTime;

use crate::Schedule;

/// A wait from a moment on, by the time of day.
///
/// A clock that was set back must not prolong it, so a moment that now lies ahead counts as now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    since: OffsetDateTime,
    wait: Duration,
}

impl Deadline {
    /// Begins a wait.
    pub(crate) fn after(now: OffsetDateTime, wait: Duration) -> Self {
        Self { since: now, wait }
    }

    /// A wait that is over.
    pub(crate) fn over() -> Self {
        Self { since: OffsetDateTime::UNIX_EPOCH, wait: Duration::ZERO }
    }

    /// Returns how much of it is left.
    pub(crate) fn left(&mut self, now: OffsetDateTime) -> Duration {
        self.since = self.since.min(now);
        let gone = (now - self.since).try_into().unwrap_or_default();
        self.wait.saturating_sub(gone)
    }

    /// Whether it is over.
    pub(crate) fn is_over(&mut self, now: OffsetDateTime) -> bool {
        self.left(now).is_zero()
    }
}

/// When a credential is refreshed next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// Not before something changes.
    Never,
    /// At a time of day, which follows from an expiry.
    At(OffsetDateTime),
    /// After a wait.
    After(Deadline),
}

impl Next {
    /// Returns how long that is from now; `None` for never.
    pub(crate) fn left(&mut self, now: OffsetDateTime) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::At(at) => Some((*at - now).try_into().unwrap_or_default()),
            Self::After(deadline) => Some(deadline.left(now)),
        }
    }
}

/// Keeps refreshes apart that 401s provoke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provoked {
    count: u32,
    between: Deadline,
    last: Option<OffsetDateTime>,
}

impl Default for Provoked {
    fn default() -> Self {
        Self { count: 0, between: Deadline::over(), last: None }
    }
}

impl Provoked {
    /// After this long without a 401 they are no longer held to be provoked on purpose.
    const QUIET: Duration = Duration::from_secs(60 * 60);

    /// Counts one, and returns how long it has to wait: `least`, and the longer the more came before.
    pub(crate) fn wait(
        &mut self,
        least: Duration,
        now: OffsetDateTime,
        schedule: &Schedule,
    ) -> Duration {
        if self.last.is_none_or(|last| now - last > Self::QUIET) {
            *self = Self::default();
        }
        let wait = least.max(self.between.left(now));
        self.count = self.count.saturating_add(1);
        self.between = Deadline::after(now, wait + schedule.between_rejections(self.count));
        self.last = Some(from_now(now, wait));
        wait
    }
}

/// Returns the moment a wait away.
pub(crate) fn from_now(now: OffsetDateTime, wait: Duration) -> OffsetDateTime {
    time::Duration::try_from(wait).ok().and_then(|wait| now.checked_add(wait)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_a_wait() {
        let minute = Duration::from_secs(60);
        let noon = OffsetDateTime::UNIX_EPOCH + minute * 720;
        let mut deadline = Deadline::after(noon, minute * 3);
        assert_eq!(deadline.left(noon + minute), minute * 2);
        assert_eq!(deadline.left(noon - minute * 600), minute * 3);
        assert_eq!(deadline.left(noon - minute * 599), minute * 2);
        assert!(deadline.is_over(noon));
    }
}
