//! Tries to reach this machine, its networks and a cloud's metadata: by address, by name, by a name
//! that changes, and over connections that are there already.

use moat_proxy::plane::Limits;
use moat_proxy::{Mode, Policy, PolicyBuilder};

use crate::engine_support::host;
use crate::grants::*;
use crate::names::Names;
use crate::support::client::{Http, empty, whole};
use crate::support::{Rules, World, soon};

/// What leads to this machine, to its networks, or to a metadata service, in the spellings that
/// resolvers and URL parsers take.
const LITERALS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "00.00.00.00",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%eth0]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "[fd00::1]",
    "[fc00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "100.100.100.200",
    "192.0.0.192",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "[2001:db8::1]",
    "[::ffff:0:127.0.0.1]",
];

/// A world whose only names are those that the test adds.
async fn named(names: &Names, grants: &Grants, policy: Policy) -> World {
    let install = |builder| names.install(builder);
    let world = World::with(Rules::default(), Limits::default(), install).await;
    world.run.swap(rules(grants, policy));
    world
}

fn open() -> Policy {
    Policy::builder(Mode::Permissive).build()
}

#[tokio::test]
async fn no_spelling_of_an_address_leads_inside() {
    let (names, (grants, _)) = (Names::default(), bearer());
    let world = named(&names, &grants, open()).await;
    for literal in LITERALS {
        for port in [80, 443, world.address.port()] {
            let (_, head) = world.tunnel(&format!("{literal}:{port}")).await;
            assert!(head.starts_with("HTTP/1.1 4"), "{literal}: {head}");
            let line = format!("GET http://{literal}:{port}/latest/meta-data/");
            let answer = world.direct(&line, &format!("Host: {literal}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{literal}: {answer}");
        }
    }
    assert_eq!(names.asked(), [""; 0], "no resolver is asked about an address");
    assert_eq!(names.dialled(), []);
    // The test would see a packet: an address of the Internet is dialled.
    world.tunnel("93.184.216.34:443").await;
    assert_eq!(names.dialled(), ["93.184.216.34:443".parse().unwrap()]);
}

#[tokio::test]
async fn no_name_leads_inside() {
    let inside: Vec<&str> = vec![
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "10.1.2.3",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.9",
        "fd12::1",
        "169.254.169.254",
        "fd00:ec2::254",
        "169.254.7.7",
        "fe80::1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
        "100.100.100.200",
    ];
    let mut grants = Grants::new();
    let granted = grant(&mut grants, "vendor");
    grants.bearer(&granted, host("*.evil.test"));
    let names = Names::default();
    let world = named(&names, &grants, open()).await;
    for (at, address) in inside.iter().enumerate() {
        let (alone, mixed) = (format!("a{at}.evil.test"), format!("m{at}.evil.test"));
        names.answer(&alone, &[&[address]]);
        // One bad address among good ones is no accident.
        names.answer(&mixed, &[&["93.184.216.34", address]]);
        for name in [alone, mixed] {
            for version in Http::BOTH {
                let answer = send(&world, &name, version, "GET /", &[]).await;
                assert_eq!(answer.status(), 403, "{address}: {:?}", answer.body());
                assert!(reason(&answer).unwrap().ends_with("-address"), "{address}");
            }
            let line = format!("GET http://{name}/");
            let answer = world.direct(&line, &format!("Host: {name}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{address}: {answer}");
            // A port without a rule is a raw tunnel.
            let (_, head) = world.tunnel(&format!("{name}:22")).await;
            assert!(head.starts_with("HTTP/1.1 403"), "{address}: {head}");
        }
    }
    assert_eq!(names.dialled(), []);
}

#[tokio::test]
async fn names_of_this_machine_lead_nowhere() {
    let (names, (grants, _)) = (Names::default(), bearer());
    let spellings =
        ["localhost", "LOCALHOST", "localhost.", "LocalHost.", "a.localhost", "localhost.test"];
    for name in spellings {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        names.answer(&name, &[&["127.0.0.1"]]);
    }
    let world = named(&names, &grants, open()).await;
    for name in spellings {
        for port in [80, 443, world.address.port()] {
            let (_, head) = world.tunnel(&format!("{name}:{port}")).await;
            assert!(head.starts_with("HTTP/1.1 403"), "{name}: {head}");
            let line = format!("GET http://{name}:{port}/");
            let answer = world.direct(&line, "Host: x\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{name}: {answer}");
        }
    }
    assert_eq!(names.dialled(), []);
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_dialled() {
    let (grants, granted) = bearer();
    for version in Http::BOTH {
        let names = Names::default();
        // Asked again, the name leads to this machine.
        names.answer(VENDOR, &[&["93.184.216.34", "93.184.216.35"], &["127.0.0.1"]]);
        let world = named(&names, &grants, open()).await;
        let vendor = Vendor::bearer(&world, VENDOR, &granted.canary).await;
        names.lead_to(world.net.real(VENDOR, 443));
        let answer = send(&world, VENDOR, version, "GET /", &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(names.asked(), [VENDOR], "one connection, one query");
        assert_eq!(names.dialled(), ["93.184.216.34:443".parse().unwrap()]);
        // The connection is used again; a new one would be judged by what the name says now.
        assert_eq!(send(&world, VENDOR, version, "GET /", &[]).await.status(), 200);
        world.run.swap(rules(&grants, open()));
        let answer = send(&world, VENDOR, version, "GET /", &[]).await;
        assert_eq!(reason(&answer), Some("local-address"), "{version:?}");
        assert_eq!((vendor.origin.requests(), names.dialled().len()), (2, 1));
    }
}

#[tokio::test]
async fn an_address_that_was_closed_since_is_not_reached_over_an_old_connection() {
    let (grants, granted) = bearer();
    // Judged by its path, so intercepted, and without a credential.
    let paths = |policy: PolicyBuilder| policy.deny("plain.test/never").unwrap();
    let base = || paths(Policy::builder(Mode::Permissive)).build();
    let closed =
        || paths(Policy::builder(Mode::Permissive)).deny("93.184.216.0/24").unwrap().build();
    for version in Http::BOTH {
        for name in [VENDOR, "plain.test"] {
            let names = Names::default();
            names.answer(name, &[&["93.184.216.34"]]);
            let world = named(&names, &grants, base()).await;
            let vendor = Vendor::bearer(&world, VENDOR, &granted.canary).await;
            let plain = Vendor::tls(&world, "plain.test", &["h2", "http/1.1"], |_| true).await;
            names.lead_to(world.net.real(name, 443));
            let mut client = world.client(name, version).await;
            let mut ask = async || {
                let request = client.request("GET", "/").body(empty()).unwrap();
                whole(soon(client.send(request)).await.unwrap()).await.status().as_u16()
            };
            assert_eq!(ask().await, 200);
            world.run.swap(rules(&grants, closed()));
            assert_eq!(ask().await, 403, "{name} {version:?}");
            assert_eq!(vendor.origin.requests() + plain.origin.requests(), 1);
        }
    }
    // The same without TLS.
    let names = Names::default();
    names.answer("plain.test", &[&["93.184.216.34"]]);
    let world = named(&names, &grants, base()).await;
    let origin = Vendor::plain(&world, "plain.test", |_| true).await.origin;
    names.lead_to(world.net.real("plain.test", 80));
    let ask = || world.direct("GET http://plain.test/", "Host: plain.test\r\n");
    assert!(ask().await.starts_with("HTTP/1.1 200"));
    world.run.swap(rules(&grants, closed()));
    assert!(ask().await.starts_with("HTTP/1.1 403"));
    assert_eq!(origin.requests(), 1);
}
