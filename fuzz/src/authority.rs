//! Authorities, tunnels and what is shown of foreign text.
//!
//! Lines of the input: the target of CONNECT, the name of the handshake (empty: none), the target
//! of a request, its version (`2` or anything else), then one `Host` header each.

use http::{HeaderMap, HeaderValue, Uri, Version, header::HOST};
use moat_provider_core::Target;
use moat_proxy::{Authority, Host, TunnelIdentity, escape};

/// An authority has one form, a tunnel takes only requests that repeat its own, and whatever is
/// shown is printable.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (connect, sni, target, version) = (line(), line(), line(), line());
    let hosts: Vec<&[u8]> = lines.collect();
    for text in [connect, sni, target] {
        one_form(text);
        shown(text);
    }
    tunnel(connect, sni, target, version == b"2", &hosts);
}

fn one_form(text: &[u8]) {
    let authority = match Authority::parse_connect(text) {
        Ok(authority) => authority,
        Err(refusal) => return printable(&refusal.to_string()),
    };
    let canonical = authority.to_string();
    printable(&canonical);
    let again = |text: &[u8]| Authority::parse_connect(text).ok();
    assert_eq!(again(canonical.as_bytes()).as_ref(), Some(&authority));
    assert_eq!(Authority::parse(text, 1).ok().as_ref(), Some(&authority), "it has a port");
    assert_eq!(again(&text.to_ascii_uppercase()).as_ref(), Some(&authority), "case says nothing");
    let (host, port) = (authority.host().as_text(), authority.port());
    assert_ne!(port, 0);
    assert_eq!(naive(text), Some((host.to_string(), port)));
    // Whatever a request may name, a rule may name.
    let rule = Target::host(&canonical).expect("a rule for the authority");
    assert!(rule.host_pattern().matches(&host, port), "{canonical}");
    assert_eq!(Host::parse(host.as_bytes()).ok().as_ref(), Some(authority.host()));
}

/// Reads an authority as one would who expects nothing bad.
fn naive(text: &[u8]) -> Option<(String, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare.parse::<std::net::IpAddr>() {
        Ok(address) => match address.to_canonical() {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("[{address}]"),
        },
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_lowercase(),
    };
    Some((host, port.parse().ok()?))
}

fn tunnel(connect: &[u8], sni: &[u8], target: &[u8], binary: bool, hosts: &[&[u8]]) {
    let Ok(authority) = Authority::parse_connect(connect) else { return };
    let name = std::str::from_utf8(sni).ok().filter(|name| !name.is_empty());
    let same = |text: &[u8], port: u16| {
        let whole = [text, b":", port.to_string().as_bytes()].concat();
        let claim = naive(text).or_else(|| naive(&whole));
        claim == Some((authority.host().as_text().into_owned(), authority.port()))
    };
    let tunnel = match TunnelIdentity::new(authority.clone(), name) {
        Ok(tunnel) => tunnel,
        Err(refusal) => return printable(&refusal.to_string()),
    };
    assert!(name.is_none_or(|name| same(name.as_bytes(), authority.port())), "{name:?}");
    let Ok(uri) = Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(target)) else { return };
    let mut headers = HeaderMap::new();
    for host in hosts {
        let Ok(value) = HeaderValue::from_bytes(host) else { return };
        headers.append(HOST, value);
    }
    let version = if binary { Version::HTTP_2 } else { Version::HTTP_11 };
    match tunnel.check(version, &uri, &headers) {
        Ok(()) => {
            assert!(hosts.len() <= 1, "several hosts");
            assert!(binary || hosts.len() == 1, "no host");
            let claimed = uri.authority().map(|claim| claim.as_str().as_bytes());
            let claims: Vec<&[u8]> = claimed.into_iter().chain(hosts.iter().copied()).collect();
            assert!(!claims.is_empty() && claims.iter().all(|claim| same(claim, 443)));
            assert!(uri.scheme_str().is_none_or(|scheme| scheme == "https"));
        }
        Err(refusal) => printable(&refusal.to_string()),
    }
    match Authority::of_forward_request(&uri, &headers) {
        Ok(authority) => assert!(hosts.len() <= 1 && authority.port() != 0),
        Err(refusal) => printable(&refusal.to_string()),
    }
}

fn shown(text: &[u8]) {
    for limit in [0, 7, 80] {
        let shown = escape(text, limit);
        printable(&shown);
        assert!(shown.len() <= limit + 3, "{shown}");
    }
    let whole = escape(text, usize::MAX);
    assert_eq!(unescape(&whole), text, "two texts look the same: {whole}");
}

/// Turns the escapes back.
fn unescape(shown: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = shown;
    while let Some(first) = rest.chars().next() {
        let (bytes, len) = match rest.as_bytes() {
            [b'\\', b'x', ..] => (vec![u8::from_str_radix(&rest[2..4], 16).unwrap()], 4),
            [b'\\', b'u', ..] => {
                let end = rest.find('}').unwrap();
                let code = u32::from_str_radix(&rest[3..end], 16).unwrap();
                (char::from_u32(code).unwrap().to_string().into_bytes(), end + 1)
            }
            [b'\\', b'n', ..] => (vec![b'\n'], 2),
            [b'\\', b'r', ..] => (vec![b'\r'], 2),
            [b'\\', b't', ..] => (vec![b'\t'], 2),
            [b'\\', other, ..] => (vec![*other], 2),
            _ => (first.to_string().into_bytes(), first.len_utf8()),
        };
        out.extend(bytes);
        rest = &rest[len..];
    }
    out
}

fn printable(text: &str) {
    assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{text:?}");
    assert!(text.len() < 2000, "{text}");
}
