//! Host patterns, paths, and the relations of targets.

use http::Method;
use moat_provider_core::{ErrorKind, HostPattern, PathPattern, Relation, Target};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn host(text: &str) -> HostPattern {
    text.parse().unwrap()
}

#[test]
fn a_name_matches_itself_on_its_port() {
    let api = host("api.github.com");
    assert!(api.matches("api.github.com", 443));
    assert!(api.matches("API.GitHub.com.", 443));
    assert!(!api.matches("api.github.com", 8443));
    assert!(!api.matches("api.github.com..", 443));
    assert!(!api.matches("xapi.github.com", 443));
    assert!(!api.matches("api.github.com.evil.example", 443));
    assert!(host("ghe.example.com:8443").matches("ghe.example.com", 8443));
    assert_eq!(host("API.github.com.:443").to_string(), "api.github.com");
    assert_eq!(host("a.example:8443").to_string(), "a.example:8443");
}

#[test]
fn a_wildcard_matches_below_and_never_the_apex() {
    let aws = host("*.amazonaws.com");
    assert!(aws.matches("s3.amazonaws.com", 443));
    assert!(aws.matches("b.s3.eu-west-1.AmazonAWS.com.", 443));
    assert!(!aws.matches("amazonaws.com", 443));
    assert!(!aws.matches(".amazonaws.com", 443));
    assert!(!aws.matches("evilamazonaws.com", 443));
    assert!(!aws.matches("s3.amazonaws.com.evil.example", 443));
    assert!(!aws.matches("evil.example/.amazonaws.com", 443));
    assert!(!aws.matches("evil.example#.amazonaws.com", 443));
    assert!(aws.is_wildcard() && !host("amazonaws.com").is_wildcard());
}

#[test]
fn addresses_match_as_addresses() {
    let v6 = host("[2001:DB8:0:0::1]:8443");
    assert_eq!(v6.to_string(), "[2001:db8::1]:8443");
    assert!(v6.matches("[2001:db8::1]", 8443));
    assert!(v6.matches("2001:db8::0001", 8443));
    assert!(!v6.matches("[2001:db8::2]", 8443));
    assert_eq!(host("::1"), host("[::1]:443"));
    assert!(host("192.0.2.1").matches("192.0.2.1", 443));
    assert!(!host("192.0.2.1").matches("192.0.2.1.", 443));
}

#[test]
fn odd_hosts_are_refused() {
    for bad in [
        "",
        ".",
        "*",
        "*.",
        "*.com",
        "*.*.com",
        "a.*.com",
        "*a.com",
        "a*.com",
        "a..b",
        "-a.com",
        "a-.com",
        "a b.com",
        "a/b",
        "a@b.com",
        "a.com:",
        "a.com:0",
        "a.com:+1",
        "a.com:65536",
        "a.com:443:443",
        "https://a.com",
        "1.2.3",
        "127.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "256.0.0.1",
        "01.02.03.04",
        "[::1",
        "::1]",
        "[1.2.3.4]",
        "[::1]x",
        "[fe80::1%25eth0]",
        "a.com..",
        "*.1.2",
    ] {
        let error = bad.parse::<HostPattern>().expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(format!("{}.com", "a".repeat(64)).parse::<HostPattern>().is_err());
    assert!(vec!["abcdefg"; 32].join(".").parse::<HostPattern>().is_err());
}

#[test]
fn a_name_in_another_script_is_told_of_its_a_label() {
    let error = "bücher.example".parse::<HostPattern>().unwrap_err();
    assert!(error.hint().unwrap().contains("xn--"));
    assert!(host("xn--bcher-kva.example").matches("XN--BCHER-KVA.example", 443));
    assert!(!host("k.example").matches("\u{212a}.example", 443), "the Kelvin sign is no k");
}

#[test]
fn a_path_ends_at_a_segment() {
    let v1 = PathPattern::under("/v1").unwrap();
    for inside in ["/v1", "/v1/", "/v1/messages", "/v1//"] {
        assert!(v1.matches(inside), "{inside}");
    }
    for outside in ["/", "/v1beta", "/V1", "/v", "v1", "", "/x/v1"] {
        assert!(!v1.matches(outside), "{outside}");
    }
    assert_eq!(v1, PathPattern::under("/v1/").unwrap());
    let exact = PathPattern::exact("/v1").unwrap();
    assert!(exact.matches("/v1") && !exact.matches("/v1/") && !exact.matches("/v1/x"));
    let keys = PathPattern::exact("/repos/*/*/keys").unwrap();
    assert!(keys.matches("/repos/o/r/keys"));
    assert!(!keys.matches("/repos/o//keys") && !keys.matches("/repos/o/r/s/keys"));
    assert!(PathPattern::any().matches("/") && PathPattern::any().matches("/a"));
    assert!(PathPattern::exact("/").unwrap().matches("/"));
    assert!(!PathPattern::exact("/").unwrap().matches("/a"));
}

#[test]
fn odd_paths_are_refused() {
    for bad in [
        "", "a", "/a/../b", "/.", "/a//b", "/a?b", "/a#b", "/a%2fb", "/a\\b", "/a;b", "/a b", "/ä",
        "/a*",
    ] {
        assert!(PathPattern::under(bad).is_err(), "{bad:?} was taken");
        assert!(PathPattern::exact(bad).is_err(), "{bad:?} was taken");
    }
}

#[test]
fn a_target_without_a_method_is_refused() {
    let target = Target::host("a.example").unwrap();
    assert!(target.clone().methods([]).is_err());
    assert_eq!(target.to_string(), "a.example/**");
    let keys = target.exact("/keys").unwrap().methods([Method::PUT, Method::POST, Method::PUT]);
    assert_eq!(keys.unwrap().to_string(), "POST,PUT a.example/keys");
}

#[test]
fn relations_by_example() {
    let at = |host: &str, path: &str| Target::host(host).unwrap().under(path).unwrap();
    let relation = |a: &Target, b: &Target| a.relation(b);
    assert_eq!(relation(&at("a.x.com", "/"), &at("*.x.com", "/")), Relation::Narrower);
    assert_eq!(relation(&at("a.x.com", "/"), &at("*.x.com", "/v1")), Relation::Partial);
    assert_eq!(relation(&at("*.x.com", "/"), &at("*.a.x.com", "/")), Relation::Wider);
    assert_eq!(relation(&at("x.com", "/"), &at("*.x.com", "/")), Relation::Disjoint);
    assert_eq!(relation(&at("x.com", "/ab"), &at("x.com", "/a")), Relation::Disjoint);
    assert_eq!(relation(&at("x.com:8443", "/"), &at("x.com", "/")), Relation::Disjoint);
    assert_eq!(relation(&at("x.com", "/*/b"), &at("x.com", "/a/*")), Relation::Partial);
}

/// A small world in which every request can be listed. Names, paths and methods are so few that
/// two patterns differ here exactly when they differ at all.
const HOSTS: [&str; 8] = [
    "x.com",
    "a.x.com",
    "b.x.com",
    "c.a.x.com",
    "d.c.a.x.com",
    "e.c.a.x.com",
    "[::1]",
    "192.0.2.1",
];
const PATTERNS: [&str; 11] = [
    "x.com",
    "a.x.com",
    "b.x.com",
    "c.a.x.com",
    "d.c.a.x.com",
    "*.x.com",
    "*.a.x.com",
    "*.c.a.x.com",
    "[::1]",
    "192.0.2.1",
    "X.com.",
];
const SEGMENTS: [&str; 3] = ["a", "b", "c"];
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::PUT];

/// Every path of up to four segments, with and without a slash at the end.
fn paths() -> Vec<String> {
    let mut level = vec![String::new()];
    let mut all = vec!["/".to_owned()];
    for _ in 0..4 {
        level = level.iter().flat_map(|p| SEGMENTS.map(|s| format!("{p}/{s}"))).collect();
        all.extend(level.iter().cloned());
        all.extend(level.iter().map(|p| format!("{p}/")));
    }
    all
}

fn target() -> impl Strategy<Value = Target> {
    let segment = select(vec!["a", "b", "*"]);
    let methods = prop::collection::vec(select(METHODS.to_vec()), 1..3);
    (
        select(PATTERNS.to_vec()),
        any::<bool>(),
        prop::collection::vec(segment, 0..3),
        any::<bool>(),
        prop::option::of(methods),
    )
        .prop_map(|(host, port, segments, exact, methods)| {
            let host = if port { format!("{host}:8443") } else { host.to_owned() };
            let path = format!("/{}", segments.join("/"));
            let mut target = Target::host(&host).unwrap();
            target = if exact { target.exact(&path) } else { target.under(&path) }.unwrap();
            match methods {
                Some(methods) => target.methods(methods).unwrap(),
                None => target,
            }
        })
}

fn by_brute_force(a: &Target, b: &Target) -> Relation {
    let paths = paths();
    let (mut both, mut only_a, mut only_b) = (false, false, false);
    for host in HOSTS {
        for port in [443, 8443] {
            for method in METHODS.into_iter().chain([Method::PATCH]) {
                for path in &paths {
                    match (
                        a.matches(host, port, &method, path),
                        b.matches(host, port, &method, path),
                    ) {
                        (true, true) => both = true,
                        (true, false) => only_a = true,
                        (false, true) => only_b = true,
                        (false, false) => {}
                    }
                }
            }
        }
    }
    match (both, only_a, only_b) {
        (false, ..) => Relation::Disjoint,
        (true, false, false) => Relation::Same,
        (true, false, true) => Relation::Narrower,
        (true, true, false) => Relation::Wider,
        (true, true, true) => Relation::Partial,
    }
}

fn mirrored(relation: Relation) -> Relation {
    match relation {
        Relation::Narrower => Relation::Wider,
        Relation::Wider => Relation::Narrower,
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn relations_agree_with_a_list_of_all_requests(a in target(), b in target()) {
        prop_assert_eq!(a.relation(&b), by_brute_force(&a, &b), "{} and {}", a, b);
        prop_assert_eq!(b.relation(&a), mirrored(a.relation(&b)));
        prop_assert_eq!(a.relation(&a), Relation::Same);
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_prints_as_something_that_reads_the_same(
        text in "\\PC{0,16}|(\\*\\.)?[a-zA-Z0-9._-]{1,16}(:[0-9]{0,5})?|\\[[0-9a-f:.]{2,16}\\](:[0-9]{1,5})?"
    ) {
        if let Ok(pattern) = text.parse::<HostPattern>() {
            let shown = pattern.to_string();
            prop_assert_eq!(&shown, &shown.to_ascii_lowercase());
            prop_assert_eq!(shown.parse::<HostPattern>().unwrap(), pattern.clone());
            if !pattern.is_wildcard() {
                prop_assert!(pattern.matches(&pattern.host(), pattern.port()));
            }
        }
    }

    #[test]
    fn a_wildcard_matches_exactly_the_names_with_its_suffix(
        labels in prop::collection::vec("[a-z][a-z0-9]{0,5}", 2..6), cut in any::<Index>(), junk in "[a-z]{1,4}"
    ) {
        let cut = cut.index(labels.len() - 1);
        let name = labels.join(".");
        let domain = labels[cut..].join(".");
        let pattern = host(&format!("*.{domain}"));
        prop_assert_eq!(pattern.matches(&name, 443), cut > 0);
        prop_assert!(!pattern.matches(&domain, 443));
        let glued = format!("{junk}{domain}");
        prop_assert!(!pattern.matches(&glued, 443));
        let below = format!("{junk}.{domain}.");
        prop_assert!(pattern.matches(&below, 443));
        let uppercase = name.to_uppercase();
        prop_assert_eq!(pattern.matches(&uppercase, 443), cut > 0);
    }

    #[test]
    fn any_port_is_kept(port in 1_u16..) {
        let pattern = host(&format!("a.example:{port}"));
        prop_assert_eq!(pattern.port(), port);
        prop_assert!(pattern.matches("a.example", port));
        prop_assert!(!pattern.matches("a.example", port.wrapping_add(1)));
    }

    #[test]
    fn any_ipv6_address_matches_all_its_spellings(bits in any::<u128>()) {
        let address = std::net::Ipv6Addr::from(bits);
        let long = address.segments().map(|s| format!("{s:04X}")).join(":");
        let pattern = host(&format!("[{long}]"));
        prop_assert!(pattern.matches(&address.to_string(), 443));
        let bracketed = format!("[{address}]");
        prop_assert!(pattern.matches(&bracketed, 443));
        prop_assert!(!pattern.matches(&std::net::Ipv6Addr::from(bits ^ 1).to_string(), 443));
    }
}
