//! Host patterns.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Relation;
use crate::{Error, Result};

const HTTPS: u16 = 443;

/// A host, or every host below a domain, on one port.
///
/// | text | matches |
/// |---|---|
/// | `api.github.com` | that name on port 443 |
/// | `ghe.example.com:8443` | that name on port 8443 |
/// | `*.amazonaws.com` | every name below `amazonaws.com` at any depth, never `amazonaws.com` |
/// | `192.0.2.1`, `[2001:db8::1]:8443` | that address |
///
/// Names are kept in ASCII lower case without a trailing dot. A name in another script is refused:
/// its A-label (`xn--…`, RFC 5890) is written instead. Two patterns are disjoint, equal or nested,
/// never partly overlapping.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    host: Host,
    port: u16,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Name(String),
    /// The domain without `*.`.
    Below(String),
    Address(IpAddr),
}

impl HostPattern {
    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the pattern stands for every name below a domain.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host, Host::Below(_))
    }

    /// Returns the pattern without its port, as it is written in a URL: `*.example.com`,
    /// `[2001:db8::1]`.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Below(domain) => format!("*.{domain}"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }

    /// Whether a request's host and port fit.
    ///
    /// The host may have any case, one trailing dot, and brackets around an IPv6 address.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host);
        self.port == port
            && match &self.host {
                Host::Name(own) => own.eq_ignore_ascii_case(name),
                Host::Below(domain) => is_below(name, domain) && is_name(name),
                Host::Address(own) => parse_address(host) == Some(*own),
            }
    }

    /// How the hosts of this pattern relate to those of another.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        if self.port != other.port {
            return Relation::Disjoint;
        }
        match (&self.host, &other.host) {
            (a, b) if a == b => Relation::Same,
            (Host::Name(a) | Host::Below(a), Host::Below(b)) if is_below(a, b) => {
                Relation::Narrower
            }
            (Host::Below(a), Host::Name(b) | Host::Below(b)) if is_below(b, a) => Relation::Wider,
            _ => Relation::Disjoint,
        }
    }
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (host, port) = split_port(text)?;
        if !host.is_ascii() {
            return Err(invalid(text, "has letters outside ASCII")
                .with_hint("write the name's A-label, the form that begins with xn--"));
        }
        if let Some(address) = parse_address(host) {
            return Ok(Self { host: Host::Address(address), port });
        }
        let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let host = match lower.strip_prefix("*.") {
            Some(domain) if !domain.contains('.') => {
                return Err(invalid(text, "would match a whole top-level domain"));
            }
            Some(domain) => Host::Below(domain.to_owned()),
            None => Host::Name(lower),
        };
        match &host {
            Host::Name(name) | Host::Below(name) if is_name(name) => Ok(Self { host, port }),
            _ => Err(invalid(text, "is not a host name, an address or *.domain")),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host())?;
        if self.port == HTTPS { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn invalid(text: &str, reason: &str) -> Error {
    Error::invalid(format!("the host pattern {text:?} {reason}"))
}

/// Splits off a port; an IPv6 address has one only behind its brackets.
fn split_port(text: &str) -> Result<(&str, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, HTTPS));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            match port.parse() {
                Ok(number) if digits && number > 0 => Ok((host, number)),
                _ => Err(invalid(text, "has a port that is not a number from 1 to 65535")),
            }
        }
        _ => Ok((text, HTTPS)),
    }
}

fn parse_address(host: &str) -> Option<IpAddr> {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    host.parse::<Ipv4Addr>()
        .map(IpAddr::V4)
        .or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::V6))
        .ok()
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all (RFC 1035 and common
/// use). A last label of digits is an address in one of its odd spellings, never a name.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = |label: &str| {
        let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => label.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    name.len() <= 253 && name.split('.').all(label) && !name.rsplit('.').next().is_some_and(numeric)
}

fn is_below(name: &str, domain: &str) -> bool {
    name.len().checked_sub(domain.len() + 1).is_some_and(|cut| {
        cut > 0
            && name.as_bytes()[cut] == b'.'
            && name.as_bytes()[cut + 1..].eq_ignore_ascii_case(domain.as_bytes())
    })
}
