//! Where names lead: metadata, this machine, private networks, rebinding.

use std::net::{IpAddr, SocketAddr};

use moat_proxy::{AddressClass, AddressPolicy, Authority, Host, Mode, Policy, Reason, Refusal};
use proptest::prelude::*;

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn authority(text: &str) -> Authority {
    Authority::parse_connect(text.as_bytes()).unwrap()
}

fn addresses(mode: Mode, allow: &[&str], deny: &[&str]) -> AddressPolicy {
    let mut builder = Policy::builder(mode);
    for text in allow {
        builder = builder.allow(text).unwrap();
    }
    for text in deny {
        builder = builder.deny(text).unwrap();
    }
    AddressPolicy::new(&builder.build())
}

/// What comes out when every name has these addresses.
fn resolve(
    policy: &AddressPolicy,
    host: &str,
    answer: &[&str],
) -> Result<Vec<SocketAddr>, Refusal> {
    let authority = authority(host);
    match (policy.known(&authority)?, authority.host()) {
        (Some(known), _) => Ok(known),
        (None, Host::Address(address)) => policy.judge(&authority, &[*address]),
        (None, Host::Name(_)) => policy.judge(&authority, &ips(answer)),
    }
}

fn reason(policy: &AddressPolicy, host: &str, answer: &[&str]) -> Option<Reason> {
    resolve(policy, host, answer).err().map(|refusal| refusal.reason())
}

#[test]
fn addresses_have_a_class() {
    use AddressClass::*;
    let table: [(AddressClass, &[&str]); 13] = [
        (
            Global,
            &[
                "8.8.8.8",
                "1.1.1.1",
                "172.15.0.1",
                "172.32.0.1",
                "100.63.0.1",
                "100.128.0.1",
                "223.255.255.255",
                "2606:4700::1111",
                "2001:4860:4860::8888",
                "2001:200::1",
            ],
        ),
        (Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"]),
        (Benchmarking, &["198.18.0.1", "198.19.255.255", "2001:2::1"]),
        (
            Reserved,
            &[
                "192.0.0.1",
                "192.88.99.1",
                "240.0.0.1",
                "255.255.255.254",
                "100::1",
                "4000::1",
                "5f00::1",
                "2001:10::1",
                "64:ff9b:2::1",
            ],
        ),
        (Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"]),
        (Cgnat, &["100.64.0.1", "100.127.255.255"]),
        (UniqueLocal, &["fc00::1", "fd12:3456::1", "fec0::1"]),
        (Loopback, &["127.0.0.1", "127.0.0.2", "127.255.255.255", "::1"]),
        (Broadcast, &["255.255.255.255"]),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1"]),
        (Unspecified, &["0.0.0.0", "0.1.2.3", "::"]),
        (LinkLocal, &["169.254.0.1", "169.254.169.253", "fe80::1", "febf::1"]),
        (
            Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "100.100.100.200",
                "192.0.0.192",
                "168.63.129.16",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
                "fd00:c1::a9fe:a9fe",
                "fd00:42::42",
                "fe80::a9fe:a9fe",
                "fd00:a9fe:a9fe::1",
                "fd00:100::100:200",
            ],
        ),
    ];
    for (class, texts) in table {
        for text in texts {
            assert_eq!(AddressClass::of(text.parse().unwrap()), class, "{text}");
        }
    }
}

#[test]
fn an_address_counts_as_the_one_inside() {
    use AddressClass::*;
    for (text, class) in [
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:169.254.169.254", Metadata),
        ("::ffff:8.8.8.8", Global),
        ("::127.0.0.1", Loopback),
        ("::10.0.0.1", Private),
        ("::2", Unspecified),
        ("::ffff:0:127.0.0.1", Loopback),
        ("64:ff9b::127.0.0.1", Loopback),
        ("64:ff9b::169.254.169.254", Metadata),
        ("64:ff9b::8.8.8.8", Global),
        ("64:ff9b:1::127.0.0.1", Loopback),
        ("64:ff9b:1:7f00:0:100::", Loopback),
        ("64:ff9b:1:a9fe:a9:fe00::", Metadata),
        ("64:ff9b:1:00a9:fe:a9fe::", Metadata),
        ("64:ff9b:1:0:a9:fea9:fe00:0", Metadata),
        ("64:ff9b:1::8.8.8.8", Reserved),
        ("2002:7f00:1::", Loopback),
        ("2002:a9fe:a9fe::1", Metadata),
        ("2002:808:808::1", Global),
        ("2001:0:808:808::", Broadcast),
        ("2001:0:7f00:1::f7f7:f7f7", Loopback),
        ("2001:0:808:808::80ff:fffe", Loopback),
        ("2001:0:808:808::f7f7:f7f7", Reserved),
        ("2606:4700::5efe:10.0.0.1", Private),
        ("2606:4700::200:5efe:127.0.0.1", Loopback),
    ] {
        assert_eq!(AddressClass::of(text.parse().unwrap()), class, "{text}");
    }
}

const NEVER: [(&str, Reason); 18] = [
    ("169.254.169.254", Reason::MetadataAddress),
    ("fd00:ec2::254", Reason::MetadataAddress),
    ("fd20:ce::254", Reason::MetadataAddress),
    ("100.100.100.200", Reason::MetadataAddress),
    ("168.63.129.16", Reason::MetadataAddress),
    ("::ffff:169.254.169.254", Reason::MetadataAddress),
    ("64:ff9b::a9fe:a9fe", Reason::MetadataAddress),
    ("2002:a9fe:a9fe::", Reason::MetadataAddress),
    ("169.254.1.1", Reason::LinkLocalAddress),
    ("fe80::1", Reason::LinkLocalAddress),
    ("224.0.0.1", Reason::MulticastAddress),
    ("ff02::1", Reason::MulticastAddress),
    ("255.255.255.255", Reason::BroadcastAddress),
    ("0.0.0.0", Reason::UnspecifiedAddress),
    ("0.0.0.1", Reason::UnspecifiedAddress),
    ("::", Reason::UnspecifiedAddress),
    ("::ffff:0.0.0.0", Reason::UnspecifiedAddress),
    ("64:ff9b::", Reason::UnspecifiedAddress),
];

#[test]
fn no_permission_opens_what_is_never_reachable() {
    let open = addresses(
        Mode::Permissive,
        &["a.example:443", "0.0.0.0/0", "::/0", "host.moat.internal:443"],
        &[],
    );
    let closed = addresses(Mode::Permissive, &[], &[]);
    for (address, expected) in NEVER {
        for policy in [&open, &closed] {
            assert_eq!(reason(policy, "a.example:443", &[address]), Some(expected), "{address}");
        }
        let literal = match address.parse().unwrap() {
            IpAddr::V4(address) => format!("{address}:443"),
            IpAddr::V6(address) => format!("[{address}]:443"),
        };
        assert_eq!(reason(&open, &literal, &[]), Some(expected), "{literal}");
        let entry = Policy::builder(Mode::Strict).allow(&literal);
        assert!(entry.is_err(), "{literal} can be allowed");
    }
}

#[test]
fn networks_in_which_nothing_is_reachable_are_no_entries() {
    for text in [
        "127.0.0.0/8",
        "::1/128",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "ff00::/8",
        "fe80::/10",
        "100.100.100.200/32",
        "fd00:ec2::/32",
        "0.0.0.0/8",
        "::ffff:10.0.0.0/104",
    ] {
        assert!(Policy::builder(Mode::Strict).allow(text).is_err(), "{text}");
    }
}

#[test]
fn this_machine_is_reached_by_its_own_name_alone() {
    let policy = addresses(
        Mode::Permissive,
        &["host.moat.internal:3000", "a.example:3000", "0.0.0.0/0", "::/0"],
        &[],
    )
    .own_addresses(ips(&["192.168.7.7", "8.8.8.8", "2606:4700::7"]));
    let both = ["127.0.0.1:3000".parse().unwrap(), "[::1]:3000".parse().unwrap()];
    assert_eq!(resolve(&policy, "host.moat.internal:3000", &["8.8.4.4"]), Ok(both.to_vec()));
    assert_eq!(
        reason(&policy, "HOST.moat.internal.:3001", &[]),
        Some(Reason::LocalServiceNotAllowed)
    );
    for host in [
        "localhost:3000",
        "LOCALHOST:3000",
        "localhost.:3000",
        "x.localhost:3000",
        "127.0.0.1:3000",
        "127.0.0.2:3000",
        "[::1]:3000",
        "[::ffff:127.0.0.1]:3000",
        "[::ffff:7f00:1]:3000",
        "[::7f00:1]:3000",
        "[64:ff9b::7f00:1]:3000",
        "[2002:7f00:1::]:3000",
        "192.168.7.7:3000",
        "8.8.8.8:3000",
        "[2606:4700::7]:3000",
        "[64:ff9b::8.8.8.8]:3000",
    ] {
        let refusal = resolve(&policy, host, &["8.8.4.4"]).expect_err(host);
        assert_eq!(refusal.reason(), Reason::LocalAddress, "{host}");
        assert_eq!(refusal.remedy(), Some("--allow host.moat.internal:3000"));
    }
    for address in ["127.0.0.1", "::1", "127.9.9.9", "192.168.7.7", "8.8.8.8", "2606:4700::7"] {
        assert_eq!(
            reason(&policy, "a.example:3000", &[address]),
            Some(Reason::LocalAddress),
            "{address}"
        );
    }
    let none = addresses(Mode::Permissive, &[], &[]);
    let refusal = resolve(&none, "host.moat.internal:3000", &[]).unwrap_err();
    assert_eq!(refusal.remedy(), Some("--allow host.moat.internal:3000"));
}

#[test]
fn this_machine_is_no_entry_but_by_its_name_and_a_port() {
    for text in [
        "host.moat.internal",
        "localhost:3000",
        "x.localhost:3000",
        "127.0.0.1:3000",
        "127.9.9.9:3000",
        "[::1]:3000",
        "HOST.moat.internal",
        "GET localhost:3000/x",
    ] {
        let error = Policy::builder(Mode::Permissive).allow(text).expect_err(text);
        assert!(error.hint().unwrap().contains("host.moat.internal:"), "{text}");
    }
    assert!(Policy::builder(Mode::Permissive).deny("localhost").is_ok());
}

#[test]
fn the_proxy_does_not_reach_itself() {
    let own = || addresses(Mode::Permissive, &["host.moat.internal:8080", "10.0.0.0/8"], &[]);
    let sockets = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<_>>();
    for listener in
        ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:8080", "[::]:8080", "[::ffff:127.0.0.1]:8080"]
    {
        let policy = own().listeners(sockets(&[listener]));
        assert_eq!(
            reason(&policy, "host.moat.internal:8080", &[]),
            Some(Reason::ProxyAddress),
            "{listener}"
        );
    }
    let policy = own().listeners(sockets(&["10.0.0.1:8080"]));
    assert_eq!(reason(&policy, "a.example:8080", &["10.0.0.1"]), Some(Reason::ProxyAddress));
    assert_eq!(
        reason(&policy, "a.example:8080", &["64:ff9b::10.0.0.1"]),
        Some(Reason::ProxyAddress)
    );
    assert_eq!(reason(&policy, "a.example:8081", &["10.0.0.1"]), None);
    assert_eq!(reason(&policy, "host.moat.internal:8080", &[]), None);
}

#[test]
fn private_networks_are_opened_by_host_and_port_or_by_network() {
    let private = [
        "10.1.2.3",
        "192.168.1.1",
        "100.64.1.1",
        "fd12::1",
        "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "2002:a01:203::",
    ];
    let closed = addresses(Mode::Permissive, &["db.example.org", "*.example.org:443"], &[]);
    let open = addresses(Mode::Permissive, &["db.example.org:443"], &[]);
    for address in private {
        let refusal = resolve(&closed, "db.example.org:443", &[address]).unwrap_err();
        assert_eq!(refusal.reason(), Reason::PrivateAddress, "{address}");
        assert_eq!(refusal.remedy(), Some("--allow db.example.org:443"));
        assert_eq!(reason(&open, "DB.example.org.:443", &[address]), None, "{address}");
        assert_eq!(
            reason(&open, "db.example.org:5432", &[address]),
            Some(Reason::PrivateAddress),
            "{address}"
        );
        assert_eq!(
            reason(&open, "other.example.org:443", &[address]),
            Some(Reason::PrivateAddress),
            "{address}"
        );
    }
    let network = addresses(Mode::Permissive, &["10.0.0.0/8"], &[]);
    for (address, expected) in [
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("64:ff9b::10.1.2.3", None),
        ("2002:a01:203::", None),
        ("11.1.2.3", None),
        ("192.168.1.1", Some(Reason::PrivateAddress)),
        ("64:ff9b:1::10.1.2.3", Some(Reason::ReservedAddress)),
    ] {
        assert_eq!(reason(&network, "any.example:443", &[address]), expected, "{address}");
    }
    assert_eq!(reason(&network, "10.1.2.3:5432", &[]), None);
    assert_eq!(reason(&network, "192.168.1.1:5432", &[]), Some(Reason::PrivateAddress));
    let literal = addresses(Mode::Permissive, &["10.1.2.3:5432", "[fd12::1]:443"], &[]);
    assert_eq!(reason(&literal, "10.1.2.3:5432", &[]), None);
    assert_eq!(reason(&literal, "[fd12::1]:443", &[]), None);
    assert_eq!(reason(&literal, "10.1.2.3:5433", &[]), Some(Reason::PrivateAddress));
    let fake = addresses(Mode::Permissive, &["198.18.0.0/15"], &[]);
    assert_eq!(reason(&fake, "a.example:443", &["198.18.0.9"]), None);
    assert_eq!(reason(&closed, "a.example:443", &["198.18.0.9"]), Some(Reason::ReservedAddress));
}

#[test]
fn an_entry_with_a_condition_opens_nothing_where_the_condition_is_not_checked() {
    let entries = ["GET db.example.org:443/x", "GET host.moat.internal:3000/x"];
    for (mode, private, local) in [
        (Mode::Strict, None, None),
        (Mode::Permissive, Some(Reason::PrivateAddress), Some(Reason::LocalServiceNotAllowed)),
    ] {
        let policy = addresses(mode, &entries, &[]);
        assert_eq!(reason(&policy, "db.example.org:443", &["10.0.0.1"]), private);
        assert_eq!(reason(&policy, "host.moat.internal:3000", &[]), local);
    }
}

#[test]
fn denied_networks_are_closed_to_names() {
    let policy = addresses(Mode::Permissive, &["a.example:443"], &["10.9.0.0/16", "8.8.8.0/24"]);
    for address in ["10.9.1.1", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"] {
        let refusal = resolve(&policy, "a.example:443", &[address]).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Denied, "{address}");
        assert!(refusal.decided_by().is_some());
    }
    assert_eq!(reason(&policy, "a.example:443", &["10.8.1.1"]), None);
}

#[test]
fn one_bad_address_refuses_all() {
    let policy = addresses(Mode::Permissive, &[], &[]);
    let good = ["8.8.8.8", "2606:4700::1111"];
    let dialled = resolve(&policy, "a.example:8443", &good).unwrap();
    assert_eq!(
        dialled,
        ["8.8.8.8:8443".parse().unwrap(), "[2606:4700::1111]:8443".parse().unwrap()]
    );
    for bad in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd12::1"] {
        for at in 0..=good.len() {
            let mut answer = good.to_vec();
            answer.insert(at, bad);
            assert!(resolve(&policy, "a.example:8443", &answer).is_err(), "{answer:?}");
        }
    }
}

#[test]
fn what_needs_no_query_causes_none() {
    let policy = addresses(Mode::Permissive, &["host.moat.internal:3000"], &[]);
    let known = |host| policy.known(&authority(host)).map_err(|refusal| refusal.reason());
    assert!(known("host.moat.internal:3000").unwrap().is_some());
    for (host, expected) in [
        ("host.moat.internal:1", Reason::LocalServiceNotAllowed),
        ("localhost:1", Reason::LocalAddress),
        ("a.localhost:443", Reason::LocalAddress),
        ("x.moat.internal:443", Reason::NameNotFound),
    ] {
        assert_eq!(known(host), Err(expected), "{host}");
    }
    assert_eq!(known("a.example:443"), Ok(None));
}

#[test]
fn a_name_without_an_address_is_a_failure() {
    let policy = addresses(Mode::Permissive, &[], &[]);
    assert_eq!(reason(&policy, "a.example:443", &[]), Some(Reason::NameNotFound));
}

proptest! {
    #[test]
    fn every_wrapping_of_an_ipv4_address_is_judged_like_it(bits in any::<u32>(), near in 0..8_usize) {
        let roots = [bits, 0x7f00_0000, 0xa9fe_0000, 0x0a00_0000, 0xe000_0000, 0xa9fe_a9fe,
            0x6464_64c8, 0xffff_ffff];
        let v4 = std::net::Ipv4Addr::from(roots[near] | bits & 0xff);
        let plain = AddressClass::of(v4.into());
        let [a, b, c, d] = v4.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        for wrapped in [
            format!("::ffff:{v4}"),
            format!("::ffff:0:{v4}"),
            format!("64:ff9b::{v4}"),
            format!("2002:{high:x}:{low:x}::1"),
        ] {
            prop_assert_eq!(AddressClass::of(wrapped.parse().unwrap()), plain, "{}", wrapped);
        }
        for tunnelled in [
            format!("64:ff9b:1::{v4}"),
            format!("64:ff9b:1:{high:x}:{c:x}:{:x}::", d << 8),
            format!("64:ff9b:1:{a:x}:{b:x}:{low:x}::"),
            format!("64:ff9b:1:0:{a:x}:{:x}:{:x}:0", b << 8 | c, d << 8),
            format!("2001:0:{high:x}:{low:x}::f7f7:f7f7"),
            format!("2001:0:808:808::{:x}:{:x}", !high, !low),
            format!("2606:4700::5efe:{v4}"),
        ] {
            let class = AddressClass::of(tunnelled.parse().unwrap());
            prop_assert!(class >= plain || plain == AddressClass::Unspecified, "{}", tunnelled);
        }
    }
}
