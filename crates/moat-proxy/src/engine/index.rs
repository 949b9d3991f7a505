//! Finding what is kept for a host without looking at every other host.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use moat_provider_core::HostPattern;

/// Values by host pattern. A lookup costs one hash per label of the name.
#[derive(Debug)]
pub(super) struct HostIndex<T>(BTreeMap<u16, Port<T>>);

#[derive(Debug)]
struct Port<T> {
    exact: HashMap<Box<str>, (HostPattern, T)>,
    /// By the domain behind `*.`.
    below: HashMap<Box<str>, (HostPattern, T)>,
}

impl<T> Default for HostIndex<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Default> HostIndex<T> {
    /// Returns what is kept under a pattern.
    pub(super) fn entry(&mut self, pattern: &HostPattern) -> &mut T {
        let port = self
            .0
            .entry(pattern.port())
            .or_insert_with(|| Port { exact: HashMap::new(), below: HashMap::new() });
        let host = pattern.host();
        let (map, key) = match host.strip_prefix("*.") {
            Some(domain) => (&mut port.below, domain),
            None => (&mut port.exact, host.as_str()),
        };
        &mut map.entry(key.into()).or_insert_with(|| (pattern.clone(), T::default())).1
    }
}

impl<T> HostIndex<T> {
    /// Calls back with what is kept under each pattern that fits, until an answer is given.
    pub(super) fn find<'a, R>(
        &'a self,
        host: &str,
        port: u16,
        mut found: impl FnMut(&'a T) -> Option<R>,
    ) -> Option<R> {
        let maps = self.0.get(&port)?;
        let name = normal(host);
        // The pattern has the last word: the index may only propose.
        let mut propose = |entry: Option<&'a (HostPattern, T)>| {
            entry
                .filter(|(pattern, _)| pattern.matches(host, port))
                .and_then(|(_, value)| found(value))
        };
        if let Some(answer) = propose(maps.exact.get(&*name)) {
            return Some(answer);
        }
        if maps.below.is_empty() {
            return None;
        }
        name.match_indices('.').find_map(|(dot, _)| propose(maps.below.get(&name[dot + 1..])))
    }

    /// Iterates over everything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&HostPattern, &T)> {
        let maps = self.0.values().flat_map(|port| port.exact.values().chain(port.below.values()));
        maps.map(|(pattern, value)| (pattern, value))
    }
}

/// Whether a host is an IP address instead of a name.
pub(super) fn is_address(host: &str) -> bool {
    address(host.strip_suffix('.').unwrap_or(host)).is_some()
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None if host.contains(':') => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None if host.ends_with(|last: char| last.is_ascii_digit()) => {
            host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        None => None,
    }
}

/// Writes a host as [`HostPattern::host`] does.
fn normal(host: &str) -> Cow<'_, str> {
    if let Some(address) = address(host) {
        return match address {
            IpAddr::V4(address) => address.to_string().into(),
            IpAddr::V6(address) => format!("[{address}]").into(),
        };
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
