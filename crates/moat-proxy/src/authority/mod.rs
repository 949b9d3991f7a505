//! Hosts and authorities, read strictly and brought into one form (laws L6 and L12).

mod tunnel;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, Uri};

pub use self::tunnel::TunnelIdentity;
use crate::{Reason, Refusal};

/// The longest authority: a name of 253 octets with its dot, a colon, a port.
const LONGEST: usize = 253 + 1 + 1 + 5;

/// The name of a host: ASCII lower case, without a trailing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as it is looked up: with a dot at its end, so that no search domain of the
    /// machine is appended (RFC 1034, section 3.1).
    #[must_use]
    pub fn absolute(&self) -> String {
        format!("{}.", self.0)
    }

    /// Whether the name lies below a domain, which is itself a name in lower case.
    pub(crate) fn is_below(&self, domain: &str) -> bool {
        self.0.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The host of an authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address; one that is IPv4 inside IPv6 (RFC 4291, section 2.5.5.2) is kept as IPv4.
    Address(IpAddr),
}

impl Host {
    /// Reads the host of an authority: a name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// A name in another script is refused: on the wire it is its A-label (RFC 5890). So is one
    /// whose last label is a number, because C libraries read `127.1` and `0x7f000001` as
    /// addresses (WHATWG URL, "ends in a number").
    ///
    /// # Errors
    ///
    /// [`Reason::AuthorityMalformed`] and [`Reason::UserInfo`].
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let checked = check_bytes(text)?;
        Self::read(checked).map_err(|problem| malformed(text, problem))
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("has a bracket too many")?;
            let address: Ipv6Addr = inner.parse().map_err(|_| "is no IPv6 address in brackets")?;
            return Ok(Self::Address(address.to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check_name(name)?;
        Ok(Self::Name(HostName(name.to_ascii_lowercase().into())))
    }

    /// Reads the name of a TLS handshake (SNI), which is never an address (RFC 6066, section 3).
    ///
    /// # Errors
    ///
    /// [`Reason::AuthorityMalformed`].
    pub fn parse_sni(name: &str) -> Result<Self, Refusal> {
        match Self::parse(name.as_bytes())? {
            Self::Address(_) => Err(malformed(name.as_bytes(), "is an address in place of a name")),
            host => Ok(host),
        }
    }

    /// Whether a text is this name, letter for letter: then it need not be read.
    pub(crate) fn is_written(&self, text: &[u8]) -> bool {
        self.name().is_some_and(|name| name.as_str().as_bytes() == text)
    }

    /// Returns the host as a URL has it.
    #[must_use]
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Name(name) => Cow::Borrowed(name.as_str()),
            Self::Address(IpAddr::V4(address)) => Cow::Owned(address.to_string()),
            Self::Address(IpAddr::V6(address)) => Cow::Owned(format!("[{address}]")),
        }
    }

    /// Returns the host as a resolver or a certificate has it: an IPv6 address without brackets.
    #[must_use]
    pub fn bare(&self) -> Cow<'_, str> {
        match self {
            Self::Name(name) => Cow::Borrowed(name.as_str()),
            Self::Address(address) => Cow::Owned(address.to_string()),
        }
    }

    /// Returns the address; `None` for a name.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }

    /// Returns the name; `None` for an address.
    #[must_use]
    pub const fn name(&self) -> Option<&HostName> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// A host and a port in one form: two authorities agree when they are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    host: Host,
    port: u16,
}

impl Authority {
    /// Puts an authority together.
    #[must_use]
    pub const fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }

    /// Reads the target of a CONNECT request (RFC 9110, section 9.3.6), which has a port.
    ///
    /// # Errors
    ///
    /// [`Reason::AuthorityMalformed`] and [`Reason::UserInfo`].
    pub fn parse_connect(target: impl AsRef<[u8]>) -> Result<Self, Refusal> {
        Self::read(target.as_ref(), None)
    }

    /// Reads a `Host` header, an `:authority`, or the authority of a URL.
    ///
    /// # Errors
    ///
    /// [`Reason::AuthorityMalformed`] and [`Reason::UserInfo`].
    pub fn parse(value: impl AsRef<[u8]>, default_port: u16) -> Result<Self, Refusal> {
        Self::read(value.as_ref(), Some(default_port))
    }

    /// Reads where a request in absolute form goes that came to the proxy outside of a tunnel.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), [`Reason::HostMissing`] when the target is not in absolute
    /// form, [`Reason::HostRepeated`], and [`Reason::AuthorityMismatch`] when a `Host` header
    /// names another authority.
    pub fn of_forward_request(uri: &Uri, headers: &HeaderMap) -> Result<Self, Refusal> {
        let port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(Refusal::new(Reason::HostMissing)),
        };
        let authority = uri.authority().ok_or(Refusal::new(Reason::HostMissing))?;
        let authority = Self::parse(authority.as_str(), port)?;
        if let Some(host) = only_host(headers)? {
            authority.expect_text(host, port)?;
        }
        Ok(authority)
    }

    fn read(text: &[u8], default_port: Option<u16>) -> Result<Self, Refusal> {
        let checked = check_bytes(text)?;
        let parts = || {
            let (host, port) = split_port(checked)?;
            let port = match port {
                Some(port) => read_port(port)?,
                None => default_port.ok_or("has no port")?,
            };
            Ok(Self { host: Host::read(host)?, port })
        };
        parts().map_err(|problem| malformed(text, problem))
    }

    /// Returns the host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Writes the authority as a `Host` field has it: without the port that the scheme implies.
    #[must_use]
    pub fn without_port(&self, default_port: u16) -> String {
        if self.port == default_port { self.host.to_string() } else { self.to_string() }
    }

    /// Whether both name the same host and port.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self == other
    }

    /// Refuses a text that names another authority than this one.
    fn expect_text(&self, text: &[u8], default_port: u16) -> Result<(), Refusal> {
        if self.port == default_port && self.host.is_written(text) {
            return Ok(());
        }
        self.expect(&Self::parse(text, default_port)?)
    }

    /// Refuses another authority than this one.
    fn expect(&self, other: &Self) -> Result<(), Refusal> {
        if self.agrees(other) {
            Ok(())
        } else {
            let both = format!("{other} in place of {self}");
            Err(Refusal::new(Reason::AuthorityMismatch).about(both))
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Returns the one `Host` header, if there is any.
fn only_host(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first.map(http::HeaderValue::as_bytes)),
        _ => Err(Refusal::new(Reason::HostRepeated)),
    }
}

fn malformed(text: &[u8], problem: &'static str) -> Refusal {
    Refusal::new(Reason::AuthorityMalformed).about(text).because(problem)
}

/// Refuses what no part of an authority may hold.
fn check_bytes(text: &[u8]) -> Result<&str, Refusal> {
    let problem = match std::str::from_utf8(text) {
        _ if text.is_empty() => "is empty",
        _ if text.contains(&b'@') => return Err(Refusal::new(Reason::UserInfo)),
        _ if text.len() > LONGEST => "is too long",
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => return Ok(text),
        _ if text.is_ascii() => "holds white space or a control character",
        _ => "is not ASCII; a name in another script is sent as its A-label",
    };
    Err(malformed(text, problem))
}

/// Splits off the port. An IPv6 address stands in brackets, so at most one colon is left.
fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(end) = text.starts_with('[').then(|| text.rfind(']')).flatten() {
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("has text behind the brackets"),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err("has several colons outside of brackets"),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

/// Reads a port as everybody writes it: `str::parse` alone takes a plus sign and zeros in front.
fn read_port(text: &str) -> Result<u16, &'static str> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| plain)
        .ok_or("has a port that is not a plain number from 1 to 65535")
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all (RFC 1035 and common
/// use); the same names that a `HostPattern` knows.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.len() > 253 {
        return Err("is longer than a name can be");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("has a label that is empty or too long");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err("holds a character that no name has");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("has a hyphen at the border of a label");
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if is_number(last) { Err("ends in a number, but is no address") } else { Ok(()) }
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
