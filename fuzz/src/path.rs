//! Paths in all their readings.
//!
//! Lines of the input: a path pattern (`=` in front: that path alone), the letters of steps that a
//! server takes (see [`naive`](crate::naive)), and the target of a request.

use http::Method;
use moat_provider_core::Target;
use moat_proxy::{Authority, Match, RequestPath};

use crate::naive;

/// More steps than this no server takes.
const STEPS: usize = 4;

/// A path has one canonical form, and what any server may read is judged as the canonical form is,
/// or the path is ambiguous.
pub fn check(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (pattern, steps, target) = (line(), line(), line());
    let Ok(path) = RequestPath::parse(target) else { return };
    let canonical = path.canonical();
    assert!(canonical.starts_with('/') && canonical.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!canonical.split('/').any(|segment| segment == "." || segment == ".."));
    assert_eq!(path.readings().next(), Some(canonical));
    let again = RequestPath::parse(canonical.as_bytes()).expect("a canonical path");
    assert_eq!(again.canonical(), canonical);
    assert!(path.ambiguity().is_some() || path.readings().count() == 1);

    let raw = target.split(|byte| *byte == b'?').next().filter(|path| !path.is_empty());
    let mut read = raw.unwrap_or(b"/").to_vec();
    let Some(rule) = std::str::from_utf8(pattern).ok().and_then(rule) else { return };
    let authority = Authority::parse_connect(b"api.vendor.test:443").expect("an authority");
    let verdict = path.matches(&rule, &authority, &Method::GET);
    let fits = |text: &str| rule.path_pattern().matches(text);
    assert!(verdict == Match::Ambiguous || fits(canonical) == (verdict == Match::Yes));
    for letter in steps.iter().take(STEPS) {
        read = naive::step(*letter, &read);
        let shown = naive::show(&read);
        // A server takes a path without its slash for one with it, or answers that there is none.
        let differs = shown.starts_with('/') && fits(&shown) != fits(canonical);
        assert!(
            !differs || verdict == Match::Ambiguous,
            "{rule} is {verdict:?} for {canonical:?}, but a server may read {shown:?}"
        );
    }
}

fn rule(pattern: &str) -> Option<Target> {
    let host = Target::host("api.vendor.test").expect("a host");
    match pattern.strip_prefix('=') {
        Some(exact) => host.exact(exact).ok(),
        None => host.under(pattern).ok(),
    }
}
