//! Authorities: host and port of a request, in one canonical form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::HeaderValue;

use crate::plane::error::{Reason, Refusal};

/// Host and port: a name in ASCII lower case without a final dot, or an IP address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    host: Arc<str>,
    ip: Option<IpAddr>,
    port: u16,
}

impl Authority {
    /// Reads `host:port`, or `host` alone where the scheme implies a port.
    ///
    /// # Errors
    ///
    /// A refusal when there is user information, no port, or a host that is neither a name nor an
    /// address in its one usual form.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, Refusal> {
        let (host, port) = split(text).ok_or_else(invalid)?;
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?
            }
            Some(_) => return Err(invalid()),
            None => default_port.ok_or_else(invalid)?,
        };
        if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let ip: Ipv6Addr = inside.parse().map_err(|_| invalid())?;
            return Ok(Self { host: ip.to_string().into(), ip: Some(ip.into()), port });
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Ok(Self { host: ip.to_string().into(), ip: Some(ip.into()), port });
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if is_name(&name) { Ok(Self { host: name.into(), ip: None, port }) } else { Err(invalid()) }
    }

    /// Returns the host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host to share.
    pub(crate) fn shared_host(&self) -> &Arc<str> {
        &self.host
    }

    /// Returns the address, when the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes the authority as a `Host` field has it: without the port that the scheme implies.
    pub(crate) fn written(&self, default_port: u16) -> String {
        let port = (self.port != default_port).then_some(self.port);
        match (self.ip, port) {
            (Some(IpAddr::V6(ip)), Some(port)) => format!("[{ip}]:{port}"),
            (Some(IpAddr::V6(ip)), None) => format!("[{ip}]"),
            (_, Some(port)) => format!("{}:{port}", self.host),
            (_, None) => self.host.as_ref().to_owned(),
        }
    }
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    match text[after_bracket..].find(':') {
        Some(at) => {
            let (host, port) = text.split_at(after_bracket + at);
            (!host.is_empty()).then_some((host, Some(&port[1..])))
        }
        None => (!text.is_empty()).then_some((text, None)),
    }
}

/// Whether this is a host name. One whose last label is a number would be read as an address by
/// `inet_aton` (`127.1`, `2130706433`, `0x7f.1`), so it is none.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x");
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    name.len() <= 253 && name.split('.').all(label) && !numeric
}

fn invalid() -> Refusal {
    Refusal::failed(Reason::BadAuthority, "the request names no valid host and port")
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(0))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Where a request goes: an authority, a scheme, and both as they are written on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) authority: Authority,
    pub(crate) scheme: Scheme,
    pub(crate) host_field: HeaderValue,
    pub(crate) uri_authority: http::uri::Authority,
}

/// Whether the hop to the host is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Https,
    Http,
}

impl Destination {
    pub(crate) fn new(authority: Authority, scheme: Scheme) -> Result<Self, Refusal> {
        let default_port = if scheme == Scheme::Https { 443 } else { 80 };
        let written = authority.written(default_port);
        Ok(Self {
            host_field: HeaderValue::from_str(&written).map_err(|_| invalid())?,
            uri_authority: written.parse().map_err(|_| invalid())?,
            authority,
            scheme,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Authority::parse(text, None).ok().map(|authority| authority.to_string())
    }

    #[test]
    fn one_authority_has_one_form() {
        assert_eq!(read("API.Example.com.:443").unwrap(), "api.example.com:443");
        assert_eq!(read("[::1]:8443").unwrap(), "[::1]:8443");
        assert_eq!(read("192.0.2.1:80").unwrap(), "192.0.2.1:80");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let odd = ["", ":443", "h", "h:", "h:0", "h:65536", "h:+1", "u@h:1", "a b:1", "[::1:1"];
        let addresses = ["127.1:80", "2130706433:80", "0x7f000001:80", "127.0.0.1.:80", "1.2.3:9"];
        for text in odd.into_iter().chain(addresses).chain(["a..b:1", "é.com:443", "h:1:2"]) {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_port_that_the_scheme_implies_is_not_written() {
        let authority = Authority::parse("[2001:db8::1]", Some(443)).unwrap();
        assert_eq!(authority.written(443), "[2001:db8::1]");
        assert_eq!(authority.written(80), "[2001:db8::1]:443");
    }
}
