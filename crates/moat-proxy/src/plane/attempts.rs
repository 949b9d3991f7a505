//! How many wrong run tokens come from one address.
//!
//! A right token works at once, whatever else comes from its address: a container may share the
//! address with an attacker, who could lock it out otherwise. That a token cannot be guessed is for
//! its length to see to (128 random bits or more); this bounds what guessing costs the proxy, and
//! shows it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::plane::limits::Limits;

/// Addresses that are remembered; the one whose first attempt is the oldest is forgotten first.
const ADDRESSES: usize = 1024;

/// Wrong tokens by the address that they came from.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// Counts a wrong token. When there were too many, returns for how long there are.
    pub(crate) fn failed(&self, address: IpAddr, limits: &Limits) -> Option<Duration> {
        let (address, now) = (network(address), Instant::now());
        let is_over = |window: &Window| now - window.since >= limits.wrong_token_window;
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= ADDRESSES && !windows.contains_key(&address) {
            windows.retain(|_, window| !is_over(window));
            if windows.len() >= ADDRESSES {
                let oldest = windows.iter().min_by_key(|(_, window)| window.since);
                let oldest = oldest.map(|(address, _)| *address);
                oldest.and_then(|address| windows.remove(&address));
            }
        }
        let window = windows.entry(address).or_insert(Window { since: now, count: 0 });
        if is_over(window) {
            *window = Window { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        let left = (window.since + limits.wrong_token_window).saturating_duration_since(now);
        (window.count > limits.wrong_tokens).then_some(left)
    }
}

/// Whoever has one address of an IPv6 network of 64 bits has them all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_counts_and_ends() {
        let limits = Limits { wrong_tokens: 2, ..Limits::default() };
        let attempts = Attempts::default();
        let failed = |text| attempts.failed(address(text), &limits);
        assert_eq!((failed("192.0.2.1"), failed("::ffff:192.0.2.1")), (None, None));
        assert_eq!(failed("192.0.2.1"), Some(Duration::from_secs(60)));
        assert_eq!(failed("192.0.2.2"), None);
        assert_eq!((failed("2001:db8::1"), failed("2001:db8::2")), (None, None));
        assert!(failed("2001:db8::ffff").is_some());
        assert_eq!(failed("2001:db8:0:1::1"), None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(failed("192.0.2.1"), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(failed("192.0.2.1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded() {
        let (attempts, limits) = (Attempts::default(), Limits::default());
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            attempts.failed(IpAddr::V4(n.into()), &limits);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let windows = attempts.0.lock().unwrap();
        assert_eq!(windows.len(), ADDRESSES);
        assert!(!windows.contains_key(&address("0.0.0.0")));
    }
}
