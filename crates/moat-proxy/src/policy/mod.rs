//! Which requests a run may make.

mod entry;
mod request;

use std::fmt;
use std::str::FromStr;

use http::Method;
use ipnet::IpNet;
use moat_provider_core::{
    CredentialKey, Error, IssuingEndpoint, IssuingEndpoints, IssuingHandling, Result, Target,
};

pub use self::entry::Denial;
use self::entry::{Allowance, Entry, is_limited};
pub use self::request::{is_misleading_header, is_refused_method};
use crate::address::{AddressClass, stand_ins};
use crate::{Authority, Host, Match, Reason, Refusal, RequestPath};

/// What happens to a request about which no entry says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is carried out.
    Permissive,
    /// It is refused.
    Strict,
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "permissive" => Ok(Self::Permissive),
            "strict" => Ok(Self::Strict),
            _ => Err(Error::invalid(format!(
                "the mode {word:?} is neither \"permissive\" nor \"strict\""
            ))),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permissive => "permissive",
            Self::Strict => "strict",
        })
    }
}

/// Why a request is carried out.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis<'a> {
    /// The mode is permissive.
    Mode,
    /// An entry allows it.
    Entry(&'a Target),
    /// An entry allows the network of the address.
    Network(&'a IpNet),
    /// A rule of a grant names it, or lets the run reach it.
    Grant(&'a Target),
}

/// The person's policy for one run.
///
/// The most specific entry decides: a denial prevails over every entry that allows the same or
/// more or lies across it, and gives way to one that allows less. What grants bring along is
/// allowed in strict mode, and gives way to every denial.
#[derive(Clone, Debug)]
pub struct Policy {
    mode: Mode,
    allowed: Vec<Allowance>,
    denied: Vec<Denial>,
    allowed_networks: Vec<IpNet>,
    denied_networks: Vec<IpNet>,
    issuing: Vec<(CredentialKey, IssuingEndpoint)>,
}

impl Policy {
    /// Begins a policy without entries.
    #[must_use]
    pub const fn builder(mode: Mode) -> PolicyBuilder {
        PolicyBuilder(Self {
            mode,
            allowed: Vec::new(),
            denied: Vec::new(),
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            issuing: Vec::new(),
        })
    }

    /// Takes the endpoints of the run's grants that issue credentials (law L16). The rules refuse them
    /// whatever an entry allows: so nobody is told to allow one.
    #[must_use]
    pub fn with_issuing(mut self, grants: &[(CredentialKey, IssuingEndpoints)]) -> Self {
        let all = grants.iter().flat_map(|(grant, endpoints)| {
            endpoints.as_slice().iter().map(|endpoint| (grant.clone(), endpoint.clone()))
        });
        // Which operation a request with GraphQL is for, its body tells.
        self.issuing = all.filter(|(_, it)| it.graphql_fields().is_empty()).collect();
        self
    }

    /// Returns the mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Judges a CONNECT, of which only host and port are known; also what to do with a tunnel
    /// that is not intercepted, unless [`depends_on_requests`](Self::depends_on_requests).
    ///
    /// `granted` are the targets of the run's rules and what they let it reach.
    ///
    /// # Errors
    ///
    /// [`Reason::Denied`] and [`Reason::HostNotAllowed`].
    pub fn judge_connect<'a>(
        &'a self,
        authority: &Authority,
        granted: impl IntoIterator<Item = &'a Target>,
    ) -> Result<Basis<'a>, Refusal> {
        self.check_denied_networks(authority)?;
        for denial in self.denied.iter().filter(|denial| denial.is_whole_host()) {
            let excepted =
                |entry: &Allowance| entry.is_at(authority) && entry.is_exception_from(denial);
            if denial.is_at(authority) && !self.allowed.iter().any(excepted) {
                return Err(denied(&authority, denial));
            }
        }
        if self.mode == Mode::Permissive {
            return Ok(Basis::Mode);
        }
        let (host, port) = (authority.host().as_text(), authority.port());
        if let Some(entry) = self.allowed.iter().find(|entry| entry.is_at(authority)) {
            return Ok(Basis::Entry(&entry.target));
        }
        if let Some(network) = self.network_of(authority) {
            return Ok(Basis::Network(network));
        }
        match granted.into_iter().find(|target| target.host_pattern().matches(&host, port)) {
            Some(target) => Ok(Basis::Grant(target)),
            None => Err(not_allowed(Reason::HostNotAllowed, authority)),
        }
    }

    /// Judges one request.
    ///
    /// An extended CONNECT (RFC 8441) is judged as the GET that it stands for.
    ///
    /// # Errors
    ///
    /// [`Reason::MethodRefused`], [`Reason::Denied`], [`Reason::PathAmbiguous`],
    /// [`Reason::MethodAmbiguous`], [`Reason::HostNotAllowed`], [`Reason::RequestNotAllowed`], and
    /// [`Reason::IssuingEndpoint`] where allowing it would not help.
    pub fn judge<'a>(
        &'a self,
        authority: &Authority,
        method: &Method,
        path: &RequestPath,
        granted: impl IntoIterator<Item = &'a Target>,
    ) -> Result<Basis<'a>, Refusal> {
        if is_refused_method(method) {
            return Err(Refusal::new(Reason::MethodRefused).about(method.as_str()));
        }
        self.check_denied_networks(authority)?;
        self.check_denied(authority, method, path)?;
        if self.mode == Mode::Permissive {
            return Ok(Basis::Mode);
        }
        if let Some(network) = self.network_of(authority) {
            return Ok(Basis::Network(network));
        }
        let mut nearby = false;
        let mut unclear = None;
        let entries = self.allowed.iter().map(|entry| Basis::Entry(&entry.target));
        for basis in entries.chain(granted.into_iter().map(Basis::Grant)) {
            let (Basis::Entry(target) | Basis::Grant(target)) = basis else { continue };
            match path.matches(target, authority, method) {
                Match::Yes => return Ok(basis),
                Match::Ambiguous => unclear = unclear.or(Some(target)),
                Match::No => {}
            }
            let host = authority.host().as_text();
            nearby |= target.host_pattern().matches(&host, authority.port());
        }
        if let Some(target) = unclear {
            return Err(path.refusal().rule(target));
        }
        Err(self.refused_anyway(authority, method, path).unwrap_or_else(|| match nearby {
            true => request_not_allowed(authority, method, path),
            false => not_allowed(Reason::HostNotAllowed, authority),
        }))
    }

    /// Whether some requests to a host and port are judged otherwise than others, so that a tunnel
    /// there has to be intercepted or refused.
    pub fn depends_on_requests<'a>(
        &self,
        authority: &Authority,
        granted: impl IntoIterator<Item = &'a Target>,
    ) -> bool {
        let host = authority.host().as_text();
        let by_grant = |target: &Target| {
            is_limited(target) && target.host_pattern().matches(&host, authority.port())
        };
        let denied = |denial: &Denial| !denial.is_whole_host() && denial.is_at(authority);
        let allowed = |entry: &Allowance| is_limited(&entry.target) && entry.is_at(authority);
        self.denied.iter().any(denied)
            || self.allowed.iter().any(allowed)
            || (self.mode == Mode::Strict && granted.into_iter().any(by_grant))
    }

    /// Refuses what issues a credential, as the rules do.
    fn refused_anyway(
        &self,
        authority: &Authority,
        method: &Method,
        path: &RequestPath,
    ) -> Option<Refusal> {
        let matched = self.issuing.iter();
        let matched =
            matched.filter(|(_, it)| path.matches(it.target(), authority, method) == Match::Yes);
        let mut matched = matched.peekable();
        let (grant, endpoint) = matched.peek()?;
        let refusal = Refusal::new(Reason::IssuingEndpoint)
            .rule(format_args!("{grant} {}", endpoint.target()))
            .about(endpoint.issues());
        matched.all(|(_, it)| *it.handling() == IssuingHandling::Refuse).then_some(refusal)
    }

    fn check_denied(
        &self,
        authority: &Authority,
        method: &Method,
        path: &RequestPath,
    ) -> Result<(), Refusal> {
        for denial in &self.denied {
            let verdict = denial.matches(path, authority, method);
            let excepted = |entry: &Allowance| {
                entry.is_exception_from(denial)
                    && path.matches(&entry.target, authority, method) == Match::Yes
            };
            if verdict == Match::No || self.allowed.iter().any(excepted) {
                continue;
            }
            if verdict == Match::Yes {
                let what = format!("{method} {authority}{}", path.canonical());
                return Err(denied(&what, denial));
            }
            return Err(path.refusal().rule(denial));
        }
        Ok(())
    }

    fn check_denied_networks(&self, authority: &Authority) -> Result<(), Refusal> {
        let Host::Address(address) = authority.host() else { return Ok(()) };
        let faces = stand_ins(*address);
        let covers = |network: &&IpNet| {
            network.contains(address) || faces.iter().any(|face| network.contains(face))
        };
        match self.denied_networks.iter().find(covers) {
            Some(network) => Err(denied(&authority, network)),
            None => Ok(()),
        }
    }

    fn network_of(&self, authority: &Authority) -> Option<&IpNet> {
        match authority.host() {
            Host::Address(address) => {
                self.allowed_networks.iter().find(|network| network.contains(address))
            }
            Host::Name(_) => None,
        }
    }

    /// Iterates over the hosts and ports that the person named so that private addresses and
    /// services of this machine may stand behind them: with the port, and without a condition
    /// that a permissive run would not check.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Target> {
        self.allowed
            .iter()
            .filter(|entry| entry.port_written && !entry.target.host_pattern().is_wildcard())
            .filter(|entry| self.mode == Mode::Strict || !is_limited(&entry.target))
            .map(|entry| &entry.target)
    }

    pub(crate) fn opened_networks(&self) -> &[IpNet] {
        &self.allowed_networks
    }

    pub(crate) fn closed_networks(&self) -> &[IpNet] {
        &self.denied_networks
    }
}

/// Collects the entries of a [`Policy`].
#[derive(Clone, Debug)]
pub struct PolicyBuilder(Policy);

impl PolicyBuilder {
    /// Adds what the person wrote behind `--allow`.
    ///
    /// | text | allows |
    /// |---|---|
    /// | `api.example.com` | every request to that host on port 443 |
    /// | `*.example.com:8443` | every request to the hosts below that domain on that port |
    /// | `api.example.com/v1/**` | requests for that path and all below it |
    /// | `GET,HEAD api.example.com/repos/*` | for that path alone, `*` being any one segment |
    /// | `10.0.0.0/8` | the addresses of a network, whatever the port |
    ///
    /// A host written with its port may also have a private address, and `host.moat.internal` with
    /// a port is that port of this machine; in a permissive run only where the entry has neither
    /// methods nor a path. A network may be reached by address, and by every name that is allowed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the text is
    /// not of that form, or names what no run may reach.
    pub fn allow(mut self, text: &str) -> Result<Self> {
        match text.parse()? {
            Entry::Place { target, port_written } => {
                self.0.allowed.push(Allowance::new(text, target, port_written)?);
            }
            Entry::Network(network) => {
                let [first, last] = [network.network(), network.broadcast()].map(AddressClass::of);
                if first == last && (first.is_never_reachable() || first == AddressClass::Loopback)
                {
                    return Err(Error::invalid(format!("no run may reach the network {network}")));
                }
                self.0.allowed_networks.push(network);
            }
        }
        Ok(self)
    }

    /// Adds what the person wrote behind `--deny`, in the form of [`allow`](Self::allow).
    ///
    /// A host without a port is denied on every port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the text is
    /// not of that form.
    pub fn deny(mut self, text: &str) -> Result<Self> {
        match text.parse()? {
            Entry::Place { target, port_written } => {
                let denial = Denial::from_entry(text, target, port_written);
                self.0.denied.push(denial);
            }
            Entry::Network(network) => self.0.denied_networks.push(network),
        }
        Ok(self)
    }

    /// Finishes the policy.
    #[must_use]
    pub fn build(self) -> Policy {
        self.0
    }
}

fn denied(what: &dyn fmt::Display, rule: &dyn fmt::Display) -> Refusal {
    Refusal::new(Reason::Denied)
        .about(what.to_string())
        .rule(rule)
        .fix(format!("start the run without --deny '{rule}'"))
}

fn not_allowed(reason: Reason, authority: &Authority) -> Refusal {
    Refusal::new(reason).about(authority.to_string()).fix(request::allow_host(authority))
}

fn request_not_allowed(authority: &Authority, method: &Method, path: &RequestPath) -> Refusal {
    let fix = request::allow_request(authority, method, path);
    Refusal::new(Reason::RequestNotAllowed)
        .about(format!("{method} {authority}{}", path.canonical()))
        .fix(fix)
}
