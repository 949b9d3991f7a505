//! Paths that servers may read in several ways.

use http::Method;
use moat_provider_core::Target;
use moat_proxy::{Ambiguity, Authority, Match, Mode, Policy, Reason, RequestPath};
use proptest::prelude::*;
use proptest::sample::select;

fn parse(path: &str) -> RequestPath {
    RequestPath::parse(path.as_bytes()).unwrap()
}

fn readings(path: &str) -> Vec<String> {
    parse(path).readings().map(str::to_owned).collect()
}

fn here() -> Authority {
    Authority::parse_connect(b"a.example:443").unwrap()
}

#[test]
fn plain_paths_have_one_reading() {
    for (path, canonical) in [
        ("/", "/"),
        ("", "/"),
        ("?q", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a/b?c=/../d;e%2f", "/a/b"),
        ("/%61/%62%7E", "/a/b~"),
        ("/a.b/..c/.d", "/a.b/..c/.d"),
        ("/compare/main...topic", "/compare/main...topic"),
        ("/v1/x:cancel", "/v1/x:cancel"),
        ("/@scope/a,b=c+d!$&'()*", "/@scope/a,b=c+d!$&'()*"),
        ("/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/a\"<>^`{|}", "/a\"<>^`{|}"),
    ] {
        assert_eq!(readings(path), [canonical], "{path}");
        assert_eq!(parse(path).canonical(), canonical);
        assert_eq!(parse(path).ambiguity(), None, "{path}");
    }
}

#[test]
fn what_a_dot_segment_takes_away_breaks_nothing() {
    for (path, canonical) in [("/a/%2/../%62%c3", "/a/b%C3"), ("/a/%/../%2e%2e/b", "/b")] {
        assert_eq!(parse(path).canonical(), canonical);
        assert!(parse(path).ambiguity().is_some());
    }
}

#[test]
fn paths_that_are_none_are_refused() {
    for path in
        ["a", "*", "https://a.example/", "/a b", "/a\tb", "/a\r\nb", "/a\0b", "/a\u{7f}", "/a#b"]
    {
        let refusal = RequestPath::parse(path.as_bytes()).unwrap_err();
        assert_eq!((refusal.reason(), refusal.status().as_u16()), (Reason::PathMalformed, 400));
    }
}

#[test]
fn odd_paths_have_the_readings_of_servers() {
    use Ambiguity::*;
    for (path, why, expected) in [
        ("/a/../b", DotSegment, &["/b", "/a/../b"][..]),
        ("/a/%2e%2E/b", DotSegment, &["/b", "/a/../b"]),
        ("/a/./b", DotSegment, &["/a/b", "/a/./b"]),
        ("/a/..", DotSegment, &["/", "/a/.."]),
        ("/../../a", DotSegment, &["/a", "/../../a"]),
        ("/a%2fb", EncodedSlash, &["/a%2Fb", "/a/b"]),
        ("/@s%2Fp", EncodedSlash, &["/@s%2Fp", "/@s/p"]),
        ("/x/..%2fb", EncodedSlash, &["/x/..%2Fb", "/b", "/x/../b"]),
        ("/x%2f..%2fb", EncodedSlash, &["/x%2F..%2Fb", "/b", "/x/../b"]),
        ("/a\\b", Backslash, &["/a\\b", "/a/b"]),
        ("/a%5cb", Backslash, &["/a%5CB", "/a\\b", "/a/b"]),
        ("/a//b", EmptySegment, &["/a//b", "/a/b"]),
        ("/a//../b", DotSegment, &["/b", "/a/b"]),
        ("/a;v=1/b", Parameters, &["/a;v=1/b", "/a/b"]),
        ("/a/..;/b", Parameters, &["/a/..;/b", "/b", "/a/../b"]),
        ("/a/..;x=y/b", Parameters, &["/b"]),
        ("/a%3bv/b", Parameters, &["/a%3Bv/b", "/a;v/b", "/a/b"]),
        ("/a%00/b", Control, &["/a%00/b", "/a", "/a/b"]),
        ("/a%0d/b", Control, &["/a%0D/b", "/a/b"]),
        ("/a/.%09./b", Control, &["/b"]),
        ("/%2561", DoubleEncoding, &["/%2561", "/%61", "/a"]),
        ("/%252e%252e/b", DoubleEncoding, &["/b"]),
        ("/a%252fb", DoubleEncoding, &["/a%252fb", "/a%2fb", "/a/b"]),
        ("/%25252561", DoubleEncoding, &["/a"]),
        ("/a%", BrokenEncoding, &["/a%"]),
        ("/%%36%31", BrokenEncoding, &["/%61", "/a"]),
        ("/a%u002fb", BrokenEncoding, &["/a%u002fb", "/a/b"]),
        ("/a%uff0fb", BrokenEncoding, &["/a/b"]),
        ("/a./b", TrailingDot, &["/a./b", "/a/b"]),
        ("/a.../b", TrailingDot, &["/a/b"]),
        ("/a%20/b", TrailingDot, &["/a%20/b", "/a/b"]),
        ("/a%20./b", TrailingDot, &["/a/b"]),
        ("/x/..%20/b", TrailingDot, &["/b"]),
        ("/x/%c0%ae%c0%ae/b", NotAscii, &["/b"]),
        ("/a%c0%afb", NotAscii, &["/a/b"]),
        ("/a%e0%80%afb", NotAscii, &["/a/b"]),
        ("/a%ef%bc%8fb", NotAscii, &["/a/b"]),
        ("/a\u{ff0f}b", NotAscii, &["/a/b"]),
        ("/%61%Aa", NotAscii, &["/a%AA", "/a"]),
        ("/%FFsecret", NotAscii, &["/%FFsecret", "/secret"]),
        ("/%40s", EncodedDelimiter, &["/%40s", "/@s"]),
        ("/a%3fb", EncodedDelimiter, &["/a%3Fb", "/a?b", "/a"]),
        ("/a%23b", EncodedDelimiter, &["/a%23b", "/a"]),
        ("/x%3F/../secret", DotSegment, &["/secret", "/x%3F/../secret", "/x"]),
    ] {
        let found = readings(path);
        for reading in expected {
            let reading = if *reading == "/a%5CB" { "/a%5Cb" } else { reading };
            assert!(
                found.iter().any(|other| other == reading),
                "{path}: {reading} not in {found:?}"
            );
        }
        assert!(found.len() > 1 || path == "/a%", "{path}: {found:?}");
        let ambiguity = (path != "/a%").then_some(why);
        assert_eq!(parse(path).ambiguity(), ambiguity, "{path}: {found:?}");
        let mut unique = found.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), found.len(), "{path}");
    }
}

#[test]
fn a_rule_holds_for_every_reading_or_is_ambiguous() {
    let target = |path: &str| Target::host("a.example").unwrap().under(path).unwrap();
    for (path, rule, expected) in [
        ("/v1/x", "/v1", Match::Yes),
        ("/v2/x", "/v1", Match::No),
        ("/v1/a/../b", "/v1", Match::Yes),
        ("/v1/../b", "/v1", Match::Ambiguous),
        ("/v1/../b", "/b", Match::Ambiguous),
        ("/v1/../b", "/c", Match::No),
        ("/v1/../b", "/", Match::Yes),
        ("/v1/a%2Fb", "/v1", Match::Yes),
        ("/v1%2Fb", "/v1", Match::Ambiguous),
        ("/v1/a%2F..%2F..%2Fb", "/v1", Match::Ambiguous),
        ("/api/projects/g%2Fp/x", "/api/projects/*/x", Match::Ambiguous),
        ("/api/projects/g%2Fp/x", "/api", Match::Yes),
        ("/%76%31/x", "/v1", Match::Yes),
        ("/v1//x", "/v1", Match::Yes),
        ("//v1/x", "/v1", Match::Ambiguous),
        ("/v1;a=b/x", "/v1", Match::Ambiguous),
        ("/v1/a;b", "/v1", Match::Yes),
        ("/a%2fb%40c", "/*/@c", Match::No),
        ("/x%2Fy/%40c", "/*/@c", Match::Ambiguous),
    ] {
        let found = parse(path).matches(&target(rule), &here(), &Method::GET);
        assert_eq!(found, expected, "{path} {rule}");
        let refusal = parse(path).check([&target(rule)], &here(), &Method::GET).err();
        assert_eq!(refusal.is_some(), expected == Match::Ambiguous, "{path} {rule}");
        if let Some(refusal) = refusal {
            assert_eq!((refusal.reason(), refusal.status().as_u16()), (Reason::PathAmbiguous, 400));
            assert!(refusal.decided_by().is_some());
        }
        let other = Authority::parse_connect(b"b.example:443").unwrap();
        assert_eq!(parse(path).matches(&target(rule), &other, &Method::GET), Match::No);
        let keys = target(rule).methods([Method::POST]).unwrap();
        assert_eq!(parse(path).matches(&keys, &here(), &Method::GET), Match::No);
    }
}

#[test]
fn a_path_with_too_many_readings_is_ambiguous_for_every_path() {
    let odd = "/a;x/%252e%252e;y//%5c.%2509.%2f;z./%2525252e\\%c0%ae%2500 ".trim().repeat(4);
    let path = parse(&odd);
    assert!(path.ambiguity().is_some());
    let root = Target::host("a.example").unwrap();
    assert_eq!(path.matches(&root, &here(), &Method::GET), Match::Yes);
    let never = root.exact("/some/other/path").unwrap();
    assert_eq!(path.matches(&never, &here(), &Method::GET), Match::Ambiguous);
    let long = parse(&format!("/{}", "a%2f".repeat(100_000)));
    assert_eq!(long.matches(&never, &here(), &Method::GET), Match::Ambiguous);
}

/// What some server does to a path, written down again without a look at the code under test.
const DECODERS: [fn(&str) -> String; 9] = [
    |path| {
        let mut out = Vec::new();
        let mut at = 0;
        while at < path.len() {
            let code = path.get(at + 1..at + 3).filter(|_| path.as_bytes()[at] == b'%');
            match code.filter(|c| c.bytes().all(|b| b.is_ascii_hexdigit())) {
                Some(code) => {
                    out.push(u8::from_str_radix(code, 16).unwrap());
                    at += 3;
                }
                None => {
                    out.push(path.as_bytes()[at]);
                    at += 1;
                }
            }
        }
        out.into_iter().map(char::from).filter(char::is_ascii).collect()
    },
    |path| DECODERS[0](&DECODERS[0](path)),
    |path| {
        let mut path = path.to_owned();
        while path.contains("//") {
            path = path.replace("//", "/");
        }
        path
    },
    |path| {
        let mut out = String::new();
        let mut skip = false;
        for char in path.chars() {
            skip = (skip || char == ';') && char != '/';
            if !skip {
                out.push(char);
            }
        }
        out
    },
    |path| path.replace('\\', "/"),
    // RFC 3986, section 5.2.4, by its own letters.
    |path| {
        let mut input = path.to_owned();
        let mut output = String::new();
        while !input.is_empty() {
            if input.starts_with("/./") {
                input.replace_range(..2, "");
            } else if input == "/." {
                input = "/".to_owned();
            } else if input.starts_with("/../") || input == "/.." {
                let rest = input.get(3..).filter(|rest| !rest.is_empty()).unwrap_or("/");
                input = rest.to_owned();
                output.truncate(output.rfind('/').unwrap_or(0));
            } else {
                let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
                output.push_str(&input[..end]);
                input.replace_range(..end, "");
            }
        }
        output
    },
    |path| path.split(['?', '#', '\0']).next().unwrap().to_owned(),
    |path| {
        let trim = |segment: &str| match segment {
            "." | ".." => segment.to_owned(),
            _ => segment.trim_end_matches('.').to_owned(),
        };
        path.split('/').map(trim).collect::<Vec<_>>().join("/")
    },
    |path| path.replace("%2f", "%2F").replace("%5c", "%5C"),
];

fn raw_path() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "/", "/", "/", "a", "b", "secret", "se", "cret", ".", "..", "%2e", "%2E", "%2f", "%2F",
        "%5c", "%5C", "\\", ";", ";x=1", "%3b", "%25", "%252e", "%252f", "%255c", "%253b", "%00",
        "%3f", "%61", "%73", "%", "%4", "%%32", "%35", "//", "%20", "A",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever sequence of steps a server takes: if it ends at a denied path, the request was
    /// refused.
    #[test]
    fn no_server_is_led_under_a_denied_path(
        raw in raw_path(),
        steps in prop::collection::vec(0..DECODERS.len(), 0..6),
        prefix in select(vec!["/secret", "/a/b", "/a", "/secret/a", "/b/secret"]),
    ) {
        let policy = Policy::builder(Mode::Permissive)
            .deny(&format!("a.example{prefix}/**")).unwrap().build();
        let served = steps.iter().fold(raw.clone(), |path, step| DECODERS[*step](&path));
        if is_under(&served, prefix) {
            let verdict = policy.judge(&here(), &Method::GET, &parse(&raw), []);
            prop_assert!(verdict.is_err(), "{} is served as {}", raw, served);
        }
    }

    /// The same for what a strict run is confined to: nobody is led out of it.
    #[test]
    fn no_server_is_led_out_of_an_allowed_path(
        raw in raw_path(),
        steps in prop::collection::vec(0..DECODERS.len(), 0..6),
        prefix in select(vec!["/a", "/a/b", "/secret"]),
        inside in any::<bool>(),
    ) {
        let raw = if inside { format!("{prefix}{raw}") } else { raw };
        let policy = Policy::builder(Mode::Strict)
            .allow(&format!("a.example{prefix}/**")).unwrap().build();
        let served = steps.iter().fold(raw.clone(), |path, step| DECODERS[*step](&path));
        // Letters and digits mean the same encoded or not.
        let plain = DECODERS[0](&served);
        if !is_under(&served, prefix) && !is_under(&plain, prefix) {
            let verdict = policy.judge(&here(), &Method::GET, &parse(&raw), []);
            prop_assert!(verdict.is_err(), "{} is served as {}", raw, served);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut target = vec![b'/'];
        target.extend(bytes);
        if let Ok(path) = RequestPath::parse(&target) {
            prop_assert!(path.readings().all(|reading| reading.starts_with('/')));
            prop_assert!(path.readings().all(|reading| reading.bytes().all(|b| b.is_ascii_graphic())));
            prop_assert_eq!(path.readings().next(), Some(path.canonical()));
        }
    }

    /// A canonical path is read as itself.
    #[test]
    fn a_canonical_path_is_canonical(
        pieces in prop::collection::vec(
            select(vec!["/", "a", ".", "..", "%2e", "%2f", "%5C", ";", "%25", "%61", "%C3", "//"]),
            0..10,
        )
    ) {
        let path = parse(&format!("/{}", pieces.concat()));
        let again = parse(path.canonical());
        prop_assert_eq!(again.canonical(), path.canonical());
    }
}
