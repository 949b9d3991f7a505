//! Which addresses a request may lead to (law L12).

mod class;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use moat_provider_core::{HostPattern, Target};

pub use self::class::AddressClass;
pub(crate) use self::class::stand_ins;
use crate::{Authority, Host, HostName, Policy, Reason, Refusal};

/// The name by which a run knows the machine that it runs on. No resolver is asked for it.
pub const HOST_GATEWAY: &str = "host.moat.internal";

/// The domain of that name. No name below it is looked up.
const OWN_DOMAIN: &str = "moat.internal";

/// The addresses that a run may reach.
///
/// Whatever the permissions, never metadata services, link-local, multicast, broadcast and
/// unspecified addresses, and the proxy's own listeners. Loopback and the machine's own addresses
/// only as [`HOST_GATEWAY`] with a port that the person named. Private, shared and reserved ranges
/// where the person named the host with its port, or the network.
#[derive(Clone, Debug)]
pub struct AddressPolicy {
    opened: Vec<HostPattern>,
    opened_networks: Vec<IpNet>,
    closed_networks: Vec<IpNet>,
    listeners: Vec<SocketAddr>,
    own: Vec<IpAddr>,
}

impl AddressPolicy {
    /// Takes over what a policy opens and closes.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self {
            opened: policy.opened().map(Target::host_pattern).cloned().collect(),
            opened_networks: policy.opened_networks().to_vec(),
            closed_networks: policy.closed_networks().to_vec(),
            listeners: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Adds sockets on which the proxy itself listens. An unspecified address stands for all of
    /// the machine's.
    #[must_use]
    pub fn listeners(mut self, sockets: impl IntoIterator<Item = SocketAddr>) -> Self {
        let plain = |socket: SocketAddr| SocketAddr::new(socket.ip().to_canonical(), socket.port());
        self.listeners.extend(sockets.into_iter().map(plain));
        self
    }

    /// Adds addresses of the machine's interfaces.
    #[must_use]
    pub fn own_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.own.extend(addresses.into_iter().map(|address| address.to_canonical()));
        self
    }

    /// Returns where to connect for an authority whose name is not to be looked up: this machine
    /// under [`HOST_GATEWAY`]. `None` stands for all others.
    ///
    /// # Errors
    ///
    /// [`Reason::LocalServiceNotAllowed`], [`Reason::LocalAddress`] for `localhost` and all below
    /// it (RFC 6761, section 6.3), [`Reason::NameNotFound`] for other names of the domain of
    /// [`HOST_GATEWAY`], and those of [`judge`](Self::judge).
    pub fn known(&self, authority: &Authority) -> Result<Option<Vec<SocketAddr>>, Refusal> {
        let Some(name) = authority.host().name() else { return Ok(None) };
        if is_gateway(name) {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return self.judge(authority, &loopback).map(Some);
        }
        if name.as_str() == "localhost" || name.is_below("localhost") {
            return Err(local(authority));
        }
        if name.is_below(OWN_DOMAIN) {
            return Err(Refusal::new(Reason::NameNotFound).about(name.as_str()));
        }
        Ok(None)
    }

    /// Judges every address of an authority, and returns them with its port.
    ///
    /// One address that may not be reached refuses them all: a name that mixes the Internet with
    /// a private network is an attempt to rebind, or a mistake that the person should hear of.
    ///
    /// # Errors
    ///
    /// [`Reason::NameNotFound`] when there is no address, [`Reason::Denied`], and the reasons that
    /// end in "address".
    pub fn judge(
        &self,
        authority: &Authority,
        resolved: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let gateway = authority.host().name().is_some_and(is_gateway);
        if gateway && !self.opens(authority) {
            return Err(Refusal::new(Reason::LocalServiceNotAllowed)
                .about(authority.to_string())
                .fix(format!("--allow {authority}")));
        }
        if resolved.is_empty() {
            return Err(
                Refusal::new(Reason::NameNotFound).about(authority.host().as_text().as_bytes())
            );
        }
        resolved
            .iter()
            .map(|address| {
                for face in stand_ins(*address) {
                    self.judge_one(authority, *address, face, gateway)?;
                }
                Ok(SocketAddr::new(address.to_canonical(), authority.port()))
            })
            .collect()
    }

    fn judge_one(
        &self,
        authority: &Authority,
        address: IpAddr,
        face: IpAddr,
        gateway: bool,
    ) -> Result<(), Refusal> {
        let class = AddressClass::of_one(face);
        let local_address = class == AddressClass::Loopback || self.own.contains(&face);
        let refused = |reason| {
            Refusal::new(reason).about(match authority.host() {
                Host::Name(name) => format!("{name} at {address}"),
                Host::Address(_) => address.to_string(),
            })
        };
        if let Some(reason) = never(class) {
            return Err(refused(reason));
        }
        if self.is_listener(face, local_address, authority.port()) {
            return Err(refused(Reason::ProxyAddress));
        }
        let closes = |network: &&IpNet| network.contains(&face) || network.contains(&address);
        if let Some(network) = self.closed_networks.iter().find(closes) {
            return Err(refused(Reason::Denied)
                .rule(network)
                .fix(format!("start the run without --deny {network}")));
        }
        if local_address != gateway {
            return Err(local(authority));
        }
        let opened = |network: &IpNet| network.contains(&face);
        match needs_permission(class) {
            Some(reason)
                if !local_address
                    && !self.opens(authority)
                    && !self.opened_networks.iter().any(opened) =>
            {
                Err(refused(reason).fix(match authority.host() {
                    Host::Address(IpAddr::V6(_)) => format!("--allow '{authority}'"),
                    _ => format!("--allow {authority}"),
                }))
            }
            _ => Ok(()),
        }
    }

    fn opens(&self, authority: &Authority) -> bool {
        let (host, port) = (authority.host().as_text(), authority.port());
        self.opened.iter().any(|pattern| pattern.matches(&host, port))
    }

    fn is_listener(&self, face: IpAddr, local: bool, port: u16) -> bool {
        self.listeners.iter().any(|socket| {
            socket.port() == port
                && (socket.ip() == face || (local && socket.ip().is_unspecified()))
        })
    }
}

fn is_gateway(name: &HostName) -> bool {
    name.as_str() == HOST_GATEWAY
}

fn local(authority: &Authority) -> Refusal {
    Refusal::new(Reason::LocalAddress)
        .about(authority.to_string())
        .fix(format!("--allow {HOST_GATEWAY}:{}", authority.port()))
}

const fn never(class: AddressClass) -> Option<Reason> {
    match class {
        AddressClass::Metadata => Some(Reason::MetadataAddress),
        AddressClass::LinkLocal => Some(Reason::LinkLocalAddress),
        AddressClass::Multicast => Some(Reason::MulticastAddress),
        AddressClass::Broadcast => Some(Reason::BroadcastAddress),
        AddressClass::Unspecified => Some(Reason::UnspecifiedAddress),
        _ => None,
    }
}

const fn needs_permission(class: AddressClass) -> Option<Reason> {
    match class {
        AddressClass::Private | AddressClass::Cgnat | AddressClass::UniqueLocal => {
            Some(Reason::PrivateAddress)
        }
        AddressClass::Documentation | AddressClass::Benchmarking | AddressClass::Reserved => {
            Some(Reason::ReservedAddress)
        }
        _ => None,
    }
}
