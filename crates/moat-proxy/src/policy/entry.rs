//! Entries of a policy: what the person wrote, what it covers, and which of two prevails.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::Method;
use ipnet::IpNet;
use moat_provider_core::{Error, PathPattern, Relation, Result, Target};

use crate::address::{AddressClass, HOST_GATEWAY, stand_ins};
use crate::path::{NearPath, NearPattern};
use crate::{Authority, Host, Match, RequestPath};

/// The methods that the person may name (the IANA registry's, without TRACE and CONNECT, which are
/// never carried out). A word that is not here is a slip of the pen, and would match nothing.
const METHODS: [&str; 20] = [
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MKCOL",
    "MOVE",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REPORT",
    "SEARCH",
    "UNLINK",
    "UNLOCK",
];

/// What the text of `--allow` or `--deny` stands for; the form is described at
/// [`PolicyBuilder::allow`](super::PolicyBuilder::allow).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Place { target: Target, port_written: bool },
    Network(IpNet),
}

impl FromStr for Entry {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(network) = text.parse::<IpNet>() {
            check_unmapped(text, network.addr())?;
            return Ok(Self::Network(network.trunc()));
        }
        if text.contains("://") {
            return Err(invalid(text, "is a URL")
                .with_hint("write the host without the scheme: api.example.com"));
        }
        let (methods, place) = match text.split_once(' ') {
            Some((methods, place)) => (Some(methods), place),
            None if METHODS.contains(&text) => return Err(invalid(text, "names no host")),
            None => (None, text),
        };
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let mut target = Target::host(host)?;
        if let Ok(address) = target.host_pattern().host().trim_matches(['[', ']']).parse() {
            check_unmapped(text, address)?;
            if path.len() > 1 && path[1..].bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid(text, "is no network"));
            }
        }
        target = match (path, path.strip_suffix("/**")) {
            ("", _) => target,
            ("/", _) => {
                return Err(invalid(text, "names the path / alone")
                    .with_hint("write the host alone for every path of it"));
            }
            (_, Some("")) => target,
            (_, Some(prefix)) => target.under(prefix)?,
            (_, None) => target.exact(path)?,
        };
        if let Some(methods) = methods.filter(|methods| *methods != "*") {
            target = target.methods(read_methods(text, methods)?)?;
        }
        Ok(Self::Place { target, port_written: writes_port(host) })
    }
}

fn invalid(text: &str, problem: &str) -> Error {
    Error::invalid(format!("the entry {text:?} {problem}"))
}

/// Requests to a mapped address count as requests to the IPv4 address inside, so that an entry for
/// the mapped one would match nothing.
fn check_unmapped(text: &str, address: IpAddr) -> Result<()> {
    match address.to_canonical() {
        same if same == address => Ok(()),
        _ => Err(invalid(text, "is IPv4 inside IPv6").with_hint("write the IPv4 form")),
    }
}

fn read_methods(text: &str, words: &str) -> Result<Vec<Method>> {
    words
        .split(',')
        .map(|word| match Method::from_bytes(word.as_bytes()) {
            Ok(method) if METHODS.contains(&word) => Ok(method),
            _ => Err(invalid(text, &format!("has {word:?} in place of a method"))
                .with_hint("write methods in upper case with commas: GET,HEAD api.example.com")),
        })
        .collect()
}

fn writes_port(host: &str) -> bool {
    host.contains(':') && !host.ends_with(']') && host.parse::<Ipv6Addr>().is_err()
}

/// Whether a target is less than a whole host.
pub(super) fn is_limited(target: &Target) -> bool {
    target.method_names().is_some() || *target.path_pattern() != PathPattern::any()
}

/// The same place on port 443, so that two places can be compared whatever their ports.
fn on_one_port(target: &Target) -> Target {
    let rebuild = || {
        let mut other = Target::host(&target.host_pattern().host())?;
        let path = target.path_pattern().to_string();
        other = match path.strip_suffix("/**") {
            Some("") => other,
            Some(prefix) => other.under(prefix)?,
            None => other.exact(&path)?,
        };
        match target.method_names() {
            None => Ok(other),
            Some(names) => {
                other.methods(names.iter().filter_map(|name| name.as_str().parse().ok()))
            }
        }
    };
    // A pattern's own text always reads back; were it not so, the denial would prevail.
    rebuild().unwrap_or_else(|_: Error| target.clone())
}

/// An entry that allows.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    pub(super) target: Target,
    pub(super) port_written: bool,
    on_one_port: Target,
}

impl Allowance {
    /// Takes over an entry, unless it can have no effect.
    pub(super) fn new(text: &str, target: Target, port_written: bool) -> Result<Self> {
        let host = target.host_pattern().host();
        let port = target.host_pattern().port();
        let here = format!("write {HOST_GATEWAY}:{port} for a service of this machine");
        if host == HOST_GATEWAY && !port_written {
            return Err(invalid(text, "names no port of this machine").with_hint(here));
        }
        if host == "localhost" || host.ends_with(".localhost") {
            return Err(
                invalid(text, "is this machine, which runs know by another name").with_hint(here)
            );
        }
        match Host::parse(host.as_bytes()) {
            Ok(Host::Address(address)) => match AddressClass::of(address) {
                AddressClass::Loopback => {
                    return Err(invalid(text, "is this machine, which runs know by another name")
                        .with_hint(here));
                }
                class if class.is_never_reachable() => {
                    return Err(invalid(text, "is an address that no run may reach"));
                }
                _ => {}
            },
            // A wildcard is no host of its own.
            _ if target.host_pattern().is_wildcard() => {}
            Ok(Host::Name(_)) => {}
            Err(_) => return Err(invalid(text, "names no host that a request can name")),
        }
        Ok(Self { on_one_port: on_one_port(&target), target, port_written })
    }

    pub(super) fn is_at(&self, authority: &Authority) -> bool {
        self.target.host_pattern().matches(&authority.host().as_text(), authority.port())
    }

    /// Whether the entry says less than a denial, so that it is an exception from it.
    pub(super) fn is_exception_from(&self, denial: &Denial) -> bool {
        match self.on_one_port.relation(&denial.on_one_port) {
            Relation::Narrower => denial.every_port || self.same_port(denial),
            Relation::Same => denial.every_port && self.port_written,
            _ => false,
        }
    }

    fn same_port(&self, denial: &Denial) -> bool {
        self.target.host_pattern().port() == denial.target.host_pattern().port()
    }
}

/// What is refused: a target, read more widely than a rule's, because what slips past a denial is
/// lost while what is refused too much can be asked for.
///
/// Letters of the path count in either case, a slash at its end is left out or added, methods count
/// in either case, and an address counts in every form that leads there.
#[derive(Clone, Debug)]
pub struct Denial {
    target: Target,
    on_one_port: Target,
    near: NearPattern,
    every_port: bool,
    /// The person's own words.
    text: Option<Box<str>>,
}

impl Denial {
    /// Denies a target on its own port.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            on_one_port: on_one_port(&target),
            near: NearPattern::new(target.path_pattern()),
            target,
            every_port: false,
            text: None,
        }
    }

    /// Takes over an entry, on every port unless it writes one.
    pub(super) fn from_entry(text: &str, target: Target, port_written: bool) -> Self {
        Self { every_port: !port_written, text: Some(text.into()), ..Self::new(target) }
    }

    /// Whether every request to its hosts is denied.
    #[must_use]
    pub fn is_whole_host(&self) -> bool {
        !is_limited(&self.target)
    }

    /// Whether the host and port of a request are denied, with or without a condition.
    #[must_use]
    pub fn is_at(&self, authority: &Authority) -> bool {
        let pattern = self.target.host_pattern();
        let port = if self.every_port { pattern.port() } else { authority.port() };
        match authority.host() {
            Host::Name(name) => pattern.matches(name.as_str(), port),
            Host::Address(address) => std::iter::once(*address)
                .chain(stand_ins(*address))
                .flat_map(|face| match face {
                    IpAddr::V4(inner) => vec![face, inner.to_ipv6_mapped().into()],
                    IpAddr::V6(_) => vec![face],
                })
                .any(|face| pattern.matches(&show_address(face), port)),
        }
    }

    /// Whether a request is denied.
    #[must_use]
    pub fn matches(&self, path: &RequestPath, authority: &Authority, method: &Method) -> Match {
        if !self.is_at(authority) {
            return Match::No;
        }
        let named = |name: &String| name.eq_ignore_ascii_case(method.as_str());
        let fits =
            path.agree(self.near.pattern(), |reading| NearPath::new(reading).is_of(&self.near));
        match self.target.method_names() {
            None => fits,
            Some(names) if names.iter().any(named) => fits,
            Some(_) if path.overrides_method() => fits.at_best_ambiguous(),
            Some(_) => Match::No,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => write!(f, "{}", self.target),
        }
    }
}

fn show_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
