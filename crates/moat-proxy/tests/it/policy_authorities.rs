//! Authorities: what is read as the same host and port, and what is refused.

use http::{HeaderMap, HeaderValue, Uri};
use moat_proxy::{Authority, Host, Reason};
use proptest::prelude::*;

fn connect(text: &str) -> Result<String, Reason> {
    Authority::parse_connect(text.as_bytes())
        .map(|authority| authority.to_string())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn one_host_has_one_form() {
    for (text, form) in [
        ("api.example.com:443", "api.example.com:443"),
        ("API.Example.COM:443", "api.example.com:443"),
        ("api.example.com.:443", "api.example.com:443"),
        ("localhost:8080", "localhost:8080"),
        ("a_b.example:1", "a_b.example:1"),
        ("xn--bcher-kva.example:65535", "xn--bcher-kva.example:65535"),
        ("1.example:443", "1.example:443"),
        ("0xabc.example:443", "0xabc.example:443"),
        ("192.0.2.1:443", "192.0.2.1:443"),
        ("[2001:DB8:0:0::1]:443", "[2001:db8::1]:443"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1:443"),
        ("[::ffff:c000:201]:443", "192.0.2.1:443"),
        ("[::127.0.0.1]:443", "[::7f00:1]:443"),
    ] {
        assert_eq!(connect(text).as_deref(), Ok(form), "{text}");
    }
    let longest = format!("{}.{}:443", vec!["a"; 95].join("."), "b".repeat(63));
    assert!(connect(&longest).is_ok(), "253 octets");
}

#[test]
fn connect_targets_that_are_no_authority_are_refused() {
    for text in [
        "",
        ":",
        ":443",
        "a.example",
        "a.example:",
        "a.example:0",
        "a.example:00",
        "a.example:0443",
        "a.example:+443",
        "a.example:-1",
        "a.example:65536",
        "a.example:99999999999999999999",
        "a.example:https",
        "a.example:443:443",
        "a.example:443/",
        "a.example:443?x",
        "https://a.example:443",
        " a.example:443",
        "a.example :443",
        "a.example: 443",
        "a.example:443 ",
        "a.ex\tample:443",
        "a.example\r\n:443",
        "a.example\0:443",
        "a.example\u{7f}:443",
        ".:443",
        "..:443",
        ".a.example:443",
        "a..example:443",
        "a.example..:443",
        "-a.example:443",
        "a-.example:443",
        "*.example:443",
        "a,b.example:443",
        "%61.example:443",
        "a.example%00.b.example:443",
        "bücher.example:443",
        "a.example\u{3002}b:443",
        "\u{212a}.example:443",
        "127.1:443",
        "127.0.0.1.:443",
        "127.0.0.01:443",
        "0127.0.0.1:443",
        "0x7f.1:443",
        "0x7f000001:443",
        "0X7F000001:443",
        "0x:443",
        "2130706433:443",
        "017700000001:443",
        "256.0.0.1:443",
        "1.2.3.4.5:443",
        "a.example.1:443",
        "a.example.0x1:443",
        "::1:443",
        "[::1:443",
        "::1]:443",
        "[::1]",
        "[::1]443",
        "[::1]]:443",
        "[[::1]]:443",
        "[]:443",
        "[127.0.0.1]:443",
        "[a.example]:443",
        "[fe80::1%eth0]:443",
        "[fe80::1%25eth0]:443",
        "[v1.a]:443",
    ] {
        assert_eq!(connect(text), Err(Reason::AuthorityMalformed), "{text:?}");
    }
    for text in ["user@a.example:443", "user:secret@a.example:443", "@a.example:443", "a@b@c:1"] {
        assert_eq!(connect(text), Err(Reason::UserInfo), "{text:?}");
    }
    assert!(connect(&format!("{}.example:443", "a".repeat(64))).is_err());
    assert!(
        connect(&format!("{}.abcdefghij:443", vec!["abc"; 61].join("."))).is_err(),
        "254 octets"
    );
    assert!(Authority::parse_connect(b"a\xff.example:443").is_err());
    assert!(Authority::parse_connect([b'a'; 70_000]).is_err());
}

#[test]
fn user_information_is_not_repeated() {
    let refusal = Authority::parse_connect(b"user:hunter2@a.example:443").unwrap_err();
    assert!(!refusal.to_string().contains("hunter2"));
    let refusal = Authority::parse_connect(b"a.example\x1b[2J\xe2\x80\xae:443").unwrap_err();
    assert!(refusal.body().is_ascii() && !refusal.body().contains(&0x1b));
}

#[test]
fn a_default_port_completes_an_authority() {
    let plain = Authority::parse(b"a.example", 443).unwrap();
    assert_eq!(plain.port(), 443);
    assert!(plain.agrees(&Authority::parse(b"A.example.:443", 80).unwrap()));
    assert!(!plain.agrees(&Authority::parse(b"a.example", 80).unwrap()));
    assert_eq!(Authority::parse(b"[::1]", 443).unwrap().to_string(), "[::1]:443");
    assert!(Authority::parse(b"a.example:", 443).is_err());
    assert!(Authority::parse(b"::1", 443).is_err());
}

#[test]
fn names_are_looked_up_absolute() {
    let host = Host::parse(b"API.example.com.").unwrap();
    assert_eq!(host.name().unwrap().absolute(), "api.example.com.");
    assert_eq!(Host::parse(b"[::1]").unwrap().name(), None);
}

#[test]
fn server_names_are_names() {
    assert_eq!(Host::parse_sni("A.example.").unwrap().as_text(), "a.example");
    for bad in ["127.0.0.1", "[::1]", "::1", "", "a.example:443", "a b", "bücher.example"] {
        assert!(Host::parse_sni(bad).is_err(), "{bad:?}");
    }
}

fn forward(uri: &str, hosts: &[&str]) -> Result<String, Reason> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append("host", HeaderValue::from_str(host).unwrap());
    }
    Authority::of_forward_request(&uri.parse::<Uri>().unwrap(), &headers)
        .map(|authority| authority.to_string())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn a_forwarded_request_goes_where_its_target_says() {
    assert_eq!(forward("http://A.example/x", &["a.example:80"]).as_deref(), Ok("a.example:80"));
    assert_eq!(forward("http://a.example:8080/", &[]).as_deref(), Ok("a.example:8080"));
    assert_eq!(forward("https://a.example/", &["a.example"]).as_deref(), Ok("a.example:443"));
    assert_eq!(forward("http://a.example/", &["b.example"]), Err(Reason::AuthorityMismatch));
    assert_eq!(forward("http://a.example/", &["a.example:443"]), Err(Reason::AuthorityMismatch));
    assert_eq!(forward("http://a.example/", &["a.example"; 2]), Err(Reason::HostRepeated));
    assert_eq!(forward("http://u:p@a.example/", &[]), Err(Reason::UserInfo));
    assert_eq!(forward("/x", &["a.example"]), Err(Reason::HostMissing));
    assert_eq!(forward("ftp://a.example/", &[]), Err(Reason::HostMissing));
    assert_eq!(forward("http://2130706433/", &[]), Err(Reason::AuthorityMalformed));
}

proptest! {
    #[test]
    fn what_is_read_prints_as_what_reads_the_same(
        text in "[a-zA-Z0-9._:@%\\[\\] -]{0,24}|\\PC{0,12}|([a-zA-Z0-9_-]{1,8}\\.?){1,4}:[0-9]{1,5}"
    ) {
        if let Ok(authority) = Authority::parse_connect(text.as_bytes()) {
            let shown = authority.to_string();
            prop_assert!(shown.is_ascii() && shown == shown.to_ascii_lowercase());
            prop_assert_eq!(Authority::parse_connect(shown.as_bytes()).unwrap(), authority);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(refusal) = Authority::parse_connect(&bytes) {
            prop_assert_eq!(refusal.status(), 400);
            prop_assert!(refusal.body().is_ascii());
        }
    }

    #[test]
    fn any_address_is_read_in_every_spelling(bits in any::<u128>(), port in 1_u16..) {
        let address = std::net::Ipv6Addr::from(bits);
        let long = address.segments().map(|s| format!("{s:04X}")).join(":");
        let one = Authority::parse_connect(format!("[{address}]:{port}").as_bytes()).unwrap();
        let other = Authority::parse_connect(format!("[{long}]:{port}").as_bytes()).unwrap();
        prop_assert!(one.agrees(&other));
    }
}
