//! What an address is for (IANA special-purpose registries), and which addresses it stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer with credentials and settings of the machine, outside of link-local ranges.
///
/// Alibaba; Oracle (classic); Azure's WireServer; the block of AWS (metadata, EKS Pod Identity);
/// Google; Oracle; Scaleway; Akamai; Alibaba.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
const METADATA_V6: [(Ipv6Addr, u32); 6] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), 128),
    (Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200), 128),
];
/// Link-local ones, told apart for the message: AWS, Google, Azure and most others; ECS; EKS Pod
/// Identity; Tencent; Scaleway.
const METADATA_LINK_LOCAL: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(169, 254, 10, 10),
    Ipv4Addr::new(169, 254, 42, 42),
];

/// What an address is for, from the most to the least reachable.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// A host of the Internet.
    Global,
    /// For documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// For benchmarks (RFC 2544, RFC 5180).
    Benchmarking,
    /// Set aside, or not yet given out.
    Reserved,
    /// A private network (RFC 1918).
    Private,
    /// Shared by a carrier's customers, and by overlay networks (RFC 6598).
    Cgnat,
    /// A private network (RFC 4193, and the older site-local range).
    UniqueLocal,
    /// This machine.
    Loopback,
    /// Everybody on the link.
    Broadcast,
    /// A group (RFC 5771, RFC 4291).
    Multicast,
    /// Nobody, which Linux takes for this machine (RFC 1122, "this host on this network").
    Unspecified,
    /// Someone on the link (RFC 3927, RFC 4291).
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
}

impl AddressClass {
    /// Classifies an address; one that stands for others counts as the worst of them.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        stand_ins(address).into_iter().map(Self::of_one).max().unwrap_or(Self::Reserved)
    }

    /// Whether no permission opens such an address.
    #[must_use]
    pub const fn is_never_reachable(self) -> bool {
        matches!(
            self,
            Self::Broadcast
                | Self::Multicast
                | Self::Unspecified
                | Self::LinkLocal
                | Self::Metadata
        )
    }

    /// Classifies an address that stands for itself.
    pub(super) fn of_one(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) || METADATA_LINK_LOCAL.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::Cgnat,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        // Protocol assignments, the relay anycast of 6to4, class E.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Global,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    let within = |(network, len): &(Ipv6Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *len
    };
    if METADATA_V6.iter().any(within) {
        return AddressClass::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // OpenStack's and Akamai's form of 169.254.169.254.
        [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => AddressClass::Metadata,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        // Protocol assignments (RFC 2928), Teredo among them.
        [0x2001, 0..=0x01ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Global,
        _ => AddressClass::Reserved,
    }
}

/// The addresses that a packet to this one may end at. All of them are judged.
///
/// A form that only wraps an IPv4 address stands for that one alone: mapped, compatible,
/// translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056). Where the network decides which part
/// is meant, the address stands for itself and for each of them: local NAT64 (RFC 8215), Teredo
/// (RFC 4380), ISATAP (RFC 5214).
pub(crate) fn stand_ins(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    let octets = v6.octets();
    let at = |places: [usize; 4]| IpAddr::from(places.map(|place| octets[place]));
    let tail = at([12, 13, 14, 15]);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![address],
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![tail],
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        [0x64, 0xff9b, 1, ..] => {
            let embedded = [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), tail];
            // What is no part of the address in the network's own layout is mostly zero.
            let real = |face: &IpAddr| AddressClass::of_one(*face) != AddressClass::Unspecified;
            [address].into_iter().chain(embedded.into_iter().filter(real)).collect()
        }
        [0x2001, 0, ..] => {
            let client = [12, 13, 14, 15].map(|place: usize| !octets[place]);
            vec![address, at([4, 5, 6, 7]), IpAddr::from(client)]
        }
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![address, tail],
        _ => vec![address],
    }
}
