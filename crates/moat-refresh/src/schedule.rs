//! When what is done.

use std::time::Duration;

use moat_provider_core::Entropy;
use time::OffsetDateTime;

/// The longest sleep: a machine that was suspended notices within this time that it is later.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How long a vendor may keep us waiting at most.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// The longest wait between tries while there is no network; a try then costs no vendor anything.
const LONGEST_OFFLINE: Duration = Duration::from_secs(60);
/// How far refreshes are apart at least that a container provokes with one 401 after the other.
const LONGEST_BETWEEN_REJECTIONS: Duration = Duration::from_secs(30 * 60);

/// When credentials are refreshed, and how often stores and vendors are asked.
///
/// The defaults fit hosts of people; [`Default`] has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    margin: Duration,
    spacing: Duration,
    first_retry: Duration,
    longest_retry: Duration,
    store_poll: Duration,
    lease_poll: Duration,
    lease_wait: Duration,
    call_limit: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(5 * 60),
            spacing: Duration::from_secs(30),
            first_retry: Duration::from_secs(5),
            longest_retry: Duration::from_secs(15 * 60),
            store_poll: Duration::from_secs(5),
            lease_poll: Duration::from_millis(200),
            lease_wait: Duration::from_secs(60),
            call_limit: Duration::from_secs(2 * 60),
        }
    }
}

impl Schedule {
    /// Sets how long before its expiry a token is renewed: five minutes, unless set. Up to a quarter
    /// more is added by chance, so that processes do not all wake at once. Of a token that is known
    /// to live shorter than four times that long, a quarter of its life.
    #[must_use]
    pub fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Sets how far the calls to a vendor for one credential are apart at least, also when it hands
    /// out tokens that have already expired: 30 seconds, unless set. Repeats after a transient error
    /// may come sooner, see [`with_retries`](Self::with_retries).
    #[must_use]
    pub fn with_spacing(mut self, spacing: Duration) -> Self {
        self.spacing = spacing;
        self
    }

    /// Sets the waits after transient errors: the first, which doubles with each further one, and
    /// the longest; 5 seconds and 15 minutes, unless set. A random part of up to a half is taken
    /// off. While the vendor cannot be reached at all, no wait is longer than a minute.
    #[must_use]
    pub fn with_retries(mut self, first: Duration, longest: Duration) -> Self {
        self.first_retry = first;
        self.longest_retry = longest.max(first);
        self
    }

    /// Sets how often the store is asked whether another process saved or removed a credential:
    /// every 5 seconds, unless set; at most a minute.
    #[must_use]
    pub fn with_store_poll(mut self, interval: Duration) -> Self {
        self.store_poll = interval.min(LONGEST_SLEEP);
        self
    }

    /// Sets how often a lease is asked for that another process has, and when to give up until the
    /// next try: every 200 milliseconds for a minute, unless set.
    #[must_use]
    pub fn with_lease_wait(mut self, poll: Duration, longest: Duration) -> Self {
        self.lease_poll = poll;
        self.lease_wait = longest;
        self
    }

    /// Sets how long one call of a provider may take: 2 minutes, unless set. A call that is given up
    /// may have spent a single-use refresh token, so this is far longer than the time-out of a
    /// request.
    #[must_use]
    pub fn with_call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = limit;
        self
    }

    pub(crate) fn spacing(&self) -> Duration {
        self.spacing
    }

    pub(crate) fn store_poll(&self) -> Duration {
        self.store_poll
    }

    pub(crate) fn lease_poll(&self) -> Duration {
        self.lease_poll
    }

    pub(crate) fn lease_wait(&self) -> Duration {
        self.lease_wait
    }

    pub(crate) fn call_limit(&self) -> Duration {
        self.call_limit
    }

    /// Says when something that expires is renewed. `since` is when it was obtained, where that is
    /// known.
    pub(crate) fn renew_at(
        &self,
        expiry: OffsetDateTime,
        since: Option<OffsetDateTime>,
        entropy: &dyn Entropy,
    ) -> OffsetDateTime {
        let margin = match life(expiry, since) {
            Some(life) => self.margin.min(life / 4),
            None => self.margin,
        };
        earlier(expiry, margin + random_part(margin / 4, entropy))
    }

    /// Says from when on something that expires is renewed before a run begins with it.
    pub(crate) fn renew_before_run_at(
        &self,
        expiry: OffsetDateTime,
        since: Option<OffsetDateTime>,
        interval: Duration,
    ) -> OffsetDateTime {
        let window = self.margin.max(interval);
        // Else a token that lives shorter than the interval is renewed before each run.
        let window = life(expiry, since).map_or(window, |life| window.min(life / 2));
        earlier(expiry, window)
    }

    /// Says how long something without an expiry is used.
    pub(crate) fn interval(&self, interval: Duration, entropy: &dyn Entropy) -> Duration {
        (interval - random_part(interval / 10, entropy)).max(self.spacing)
    }

    /// Says how long to wait after so many failures in a row, of which there is at least one.
    pub(crate) fn retry(
        &self,
        failures: u32,
        network: Network,
        retry_after: Option<Duration>,
        entropy: &dyn Entropy,
    ) -> Duration {
        let longest = match network {
            Network::Reached => self.longest_retry,
            Network::Offline => self.longest_retry.min(LONGEST_OFFLINE),
        };
        let wait = doubled(self.first_retry, failures.saturating_sub(1)).min(longest);
        let wait = wait - random_part(wait / 2, entropy);
        wait.max(bounded(retry_after))
    }

    /// Says how long a refresh after this many others that 401s provoked has to wait.
    pub(crate) fn between_rejections(&self, provoked: u32) -> Duration {
        doubled(self.spacing, provoked).min(LONGEST_BETWEEN_REJECTIONS.max(self.spacing))
    }
}

/// Whether there is a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Reached,
    Offline,
}

/// Returns how long a vendor keeps us waiting, within reason.
pub(crate) fn bounded(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)
}

fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(2_u32.saturating_pow(times))
}

fn life(expiry: OffsetDateTime, since: Option<OffsetDateTime>) -> Option<Duration> {
    since.map(|since| (expiry - since).try_into().unwrap_or_default())
}

/// Steps back in time, as far as there is time.
fn earlier(at: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).ok().and_then(|by| at.checked_sub(by)).unwrap_or(at)
}

/// Draws a duration from zero to `most`. Without random bytes it is zero: the lease keeps order
/// anyway.
fn random_part(most: Duration, entropy: &dyn Entropy) -> Duration {
    let mut drawn = [0; 4];
    match entropy.fill(&mut drawn) {
        Ok(()) => most.mul_f64(f64::from(u32::from_le_bytes(drawn)) / f64::from(u32::MAX)),
        Err(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_testkit::FakeEntropy;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + HOUR * 12
    }

    /// Draws often, and returns the least and the most.
    fn bounds(mut draw: impl FnMut(&FakeEntropy) -> Duration) -> (Duration, Duration) {
        let entropy = FakeEntropy::default();
        let drawn: Vec<_> = (0..2000).map(|_| draw(&entropy)).collect();
        (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap())
    }

    fn assert_about(actual: (Duration, Duration), least: Duration, most: Duration) {
        let slack = (most - least) / 50;
        assert!(actual.0 >= least && actual.1 <= most, "{actual:?}");
        assert!(actual.0 <= least + slack && actual.1 + slack >= most, "{actual:?}");
    }

    #[test]
    fn a_token_is_renewed_a_margin_before_its_expiry_and_not_at_the_same_moment_everywhere() {
        let schedule = Schedule::default().with_margin(8 * MINUTE);
        let before = |since: Option<OffsetDateTime>| {
            bounds(|entropy| {
                let at = schedule.renew_at(noon(), since, entropy);
                (noon() - at).try_into().unwrap()
            })
        };
        assert_about(before(None), 8 * MINUTE, 10 * MINUTE);
        assert_about(before(Some(noon() - HOUR)), 8 * MINUTE, 10 * MINUTE);
        assert_about(before(Some(noon() - 4 * MINUTE)), MINUTE, MINUTE * 5 / 4);
        assert_eq!(before(Some(noon() + HOUR)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn before_a_run_the_interval_counts_but_not_for_tokens_that_live_shorter() {
        let schedule = Schedule::default();
        let at = |since, interval| schedule.renew_before_run_at(noon(), since, interval);
        assert_eq!(at(None, HOUR), noon() - HOUR);
        assert_eq!(at(None, Duration::ZERO), noon() - 5 * MINUTE);
        assert_eq!(at(Some(noon() - HOUR), HOUR), noon() - HOUR / 2);
    }

    #[test]
    fn an_interval_is_shortened_by_up_to_a_tenth_and_never_below_the_spacing() {
        let schedule = Schedule::default();
        let drawn = bounds(|entropy| schedule.interval(HOUR, entropy));
        assert_about(drawn, HOUR * 9 / 10, HOUR);
        let none = schedule.interval(Duration::ZERO, &FakeEntropy::default());
        assert_eq!(none, Duration::from_secs(30));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let schedule = Schedule::default().with_retries(MINUTE, 5 * MINUTE);
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (4, 5), (40, 5), (u32::MAX, 5)] {
            let drawn = bounds(|entropy| schedule.retry(failures, Network::Reached, None, entropy));
            assert_about(drawn, MINUTE * most / 2, MINUTE * most);
        }
        let offline = bounds(|entropy| schedule.retry(9, Network::Offline, None, entropy));
        assert_about(offline, MINUTE / 2, MINUTE);
    }

    #[test]
    fn a_vendor_is_obeyed_within_reason() {
        let schedule = Schedule::default();
        let wait =
            |after| schedule.retry(1, Network::Reached, Some(after), &FakeEntropy::default());
        assert_eq!(wait(MINUTE), MINUTE);
        assert_eq!(wait(HOUR * 24), HOUR);
        assert!(wait(Duration::ZERO) >= Duration::from_millis(2500));
    }

    #[test]
    fn provoked_refreshes_become_rare() {
        let schedule = Schedule::default();
        let waits: Vec<_> =
            (0..8).map(|count| schedule.between_rejections(count).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1800, 1800]);
    }
}
