//! Every request of a tunnel is for the host that CONNECT named.

use http::{HeaderMap, HeaderValue, Uri, Version};
use moat_proxy::{Authority, Reason, TunnelIdentity};

const H1: Version = Version::HTTP_11;
const H2: Version = Version::HTTP_2;

fn tunnel(connect: &str, sni: Option<&str>) -> Result<TunnelIdentity, Reason> {
    let connect = Authority::parse_connect(connect.as_bytes()).unwrap();
    TunnelIdentity::new(connect, sni).map_err(|refusal| refusal.reason())
}

fn check(connect: &str, version: Version, uri: &str, hosts: &[&str]) -> Result<(), (u16, Reason)> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append("host", HeaderValue::from_bytes(host.as_bytes()).unwrap());
    }
    tunnel(connect, None)
        .unwrap()
        .check(version, &uri.parse::<Uri>().unwrap(), &headers)
        .map_err(|refusal| (refusal.status().as_u16(), refusal.reason()))
}

#[test]
fn the_handshake_is_for_the_host_of_the_tunnel() {
    for (connect, sni) in [
        ("a.example:443", None),
        ("a.example:443", Some("a.example")),
        ("A.example.:8443", Some("a.EXAMPLE")),
        ("192.0.2.1:443", None),
    ] {
        assert!(tunnel(connect, sni).is_ok(), "{connect} {sni:?}");
    }
    for (connect, sni, reason) in [
        ("a.example:443", "b.example", Reason::SniMismatch),
        ("a.example:443", "x.a.example", Reason::SniMismatch),
        ("192.0.2.1:443", "a.example", Reason::SniMismatch),
        ("a.example:443", "192.0.2.1", Reason::AuthorityMalformed),
        ("a.example:443", "a.example:443", Reason::AuthorityMalformed),
        ("a.example:443", "", Reason::AuthorityMalformed),
    ] {
        assert_eq!(tunnel(connect, Some(sni)), Err(reason), "{connect} {sni:?}");
    }
}

#[test]
fn requests_for_the_same_authority_pass() {
    for (connect, version, uri, hosts) in [
        ("a.example:443", H1, "/x", &["a.example"][..]),
        ("a.example:443", H1, "/x", &["A.Example.:443"]),
        ("a.example:443", H1, "*", &["a.example"]),
        ("a.example:443", H1, "https://a.example/x", &["a.example"]),
        ("a.example:443", H1, "https://A.example:443/x", &["a.example:443"]),
        ("a.example:443", Version::HTTP_10, "/x", &["a.example"]),
        ("a.example:8443", H1, "/x", &["a.example:8443"]),
        ("[2001:db8::1]:443", H1, "/x", &["[2001:DB8::1]"]),
        ("192.0.2.1:443", H1, "/x", &["192.0.2.1"]),
        ("a.example:443", H2, "https://a.example/x", &[]),
        ("a.example:443", H2, "https://A.example.:443/x", &["a.example"]),
        ("a.example:8443", H2, "https://a.example:8443/x", &[]),
    ] {
        assert_eq!(check(connect, version, uri, hosts), Ok(()), "{connect} {uri} {hosts:?}");
    }
}

#[test]
fn requests_for_another_authority_are_misdirected() {
    for (connect, version, uri, hosts) in [
        ("a.example:443", H1, "/x", &["b.example"][..]),
        ("a.example:443", H1, "/x", &["a.example:8443"]),
        ("a.example:8443", H1, "/x", &["a.example"]),
        ("a.example:443", H1, "/x", &["a.example.evil.example"]),
        ("a.example:443", H1, "https://b.example/x", &["a.example"]),
        ("a.example:443", H1, "https://a.example/x", &["b.example"]),
        ("a.example:443", H1, "https://a.example:8443/x", &["a.example"]),
        ("a.example:443", H2, "https://b.example/x", &[]),
        ("a.example:443", H2, "https://b.example/x", &["a.example"]),
        ("a.example:443", H2, "https://a.example/x", &["b.example"]),
        ("192.0.2.1:443", H1, "/x", &["a.example"]),
        ("a.example:443", H1, "/x", &["192.0.2.1"]),
    ] {
        let refusal = check(connect, version, uri, hosts);
        assert_eq!(refusal, Err((421, Reason::AuthorityMismatch)), "{connect} {uri} {hosts:?}");
    }
}

#[test]
fn requests_that_name_no_one_host_are_bad() {
    let a = "a.example:443";
    for (version, uri, hosts, reason) in [
        (H1, "/x", &[][..], Reason::HostMissing),
        (H1, "https://a.example/x", &[], Reason::HostMissing),
        (Version::HTTP_10, "/x", &[], Reason::HostMissing),
        (H2, "/x", &[], Reason::HostMissing),
        (H1, "/x", &["a.example", "a.example"], Reason::HostRepeated),
        (H1, "/x", &["a.example", "b.example"], Reason::HostRepeated),
        (H2, "https://a.example/x", &["a.example"; 2], Reason::HostRepeated),
        (H1, "http://a.example/x", &["a.example"], Reason::SchemeNotHttps),
        (H1, "ftp://a.example/x", &["a.example"], Reason::SchemeNotHttps),
        (H2, "http://a.example/x", &[], Reason::SchemeNotHttps),
        (H2, "/x", &["a.example"], Reason::SchemeNotHttps),
        (H1, "/x", &["user@a.example"], Reason::UserInfo),
        (H1, "https://user:p@a.example/x", &["a.example"], Reason::UserInfo),
        (H2, "https://user@a.example/x", &[], Reason::UserInfo),
        (H1, "/x", &[""], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example, b.example"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example,b.example"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example\t"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example:0443"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example:"], Reason::AuthorityMalformed),
        (H1, "/x", &["bücher.example"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example/"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example#b"], Reason::AuthorityMalformed),
        (H1, "/x", &["a.example\\b"], Reason::AuthorityMalformed),
    ] {
        assert_eq!(check(a, version, uri, hosts), Err((400, reason)), "{uri} {hosts:?}");
    }
}
