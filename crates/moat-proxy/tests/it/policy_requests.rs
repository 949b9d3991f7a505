//! What is judged of requests, and what refusals say.

use http::{HeaderName, Method};
use moat_provider_core::{
    Alphabet, HeldField, IssuingEndpoint, IssuingEndpoints, PlaceholderShape, Target,
};
use moat_proxy::{
    Authority, Basis, Denial, Match, Mode, Policy, Reason, RequestPath, is_misleading_header,
    is_refused_method,
};
use proptest::prelude::*;

use crate::policy_support::{connect, judge, judge_granted, policy, reason};

#[test]
fn methods_that_are_never_carried_out() {
    for word in ["TRACE", "trace", "Trace", "TRACK", "CONNECT", "connect"] {
        assert!(is_refused_method(&word.parse().unwrap()), "{word}");
        let allowed = policy(Mode::Permissive, &["a.example"], &[]);
        let refusal = judge(&allowed, &format!("{word} a.example/")).unwrap_err();
        assert_eq!((refusal.reason(), refusal.status().as_u16()), (Reason::MethodRefused, 405));
    }
    for method in [Method::GET, Method::OPTIONS, "PROPFIND".parse().unwrap()] {
        assert!(!is_refused_method(&method));
    }
}

#[test]
fn a_method_in_the_query_is_none_that_an_entry_may_rely_on() {
    let denied = policy(Mode::Permissive, &[], &["DELETE a.example/x/**"]);
    for request in [
        "POST a.example/x/1?_method=DELETE",
        "POST a.example/x?a=b&_METHOD=delete",
        "POST a.example/x?%5Fmethod=DELETE",
        "GET a.example/x?X-HTTP-Method-Override=DELETE",
        "POST a.example/x?a;_HttpMethod=DELETE",
    ] {
        assert_eq!(reason(&denied, request), Some(Reason::MethodAmbiguous), "{request}");
    }
    assert_eq!(reason(&denied, "DELETE a.example/x?_method=GET"), Some(Reason::Denied));
    assert_eq!(reason(&denied, "POST a.example/y?_method=DELETE"), None);
    assert_eq!(reason(&denied, "POST a.example/x?method=DELETE&my_method=1"), None);
    let strict = policy(Mode::Strict, &["GET a.example", "b.example"], &[]);
    assert_eq!(reason(&strict, "GET a.example/x?_method=PUT"), Some(Reason::MethodAmbiguous));
    assert_eq!(reason(&strict, "GET b.example/x?_method=PUT"), None);
}

#[test]
fn headers_that_mislead() {
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-host",
        "x-forwarded-for",
        "x-forwarded-anything",
        "forwarded",
        "x_http_method_override",
        "x-http_method-override",
        "x_forwarded_host",
    ] {
        assert!(is_misleading_header(&HeaderName::from_bytes(name.as_bytes()).unwrap()), "{name}");
    }
    for name in ["host", "authorization", "x-github-api-version", "x-forwardedfor", "x-original"] {
        assert!(!is_misleading_header(&HeaderName::from_bytes(name.as_bytes()).unwrap()), "{name}");
    }
}

#[test]
fn what_depends_on_requests_cannot_be_tunnelled_unseen() {
    let authority = |text: &str| Authority::parse_connect(text.as_bytes()).unwrap();
    let denied = policy(Mode::Permissive, &["c.example/x"], &["POST a.example", "b.example"]);
    assert!(denied.depends_on_requests(&authority("a.example:443"), []));
    assert!(denied.depends_on_requests(&authority("a.example:22"), []));
    assert!(denied.depends_on_requests(&authority("c.example:443"), []));
    assert!(!denied.depends_on_requests(&authority("b.example:443"), []));
    assert!(!denied.depends_on_requests(&authority("d.example:443"), []));
    let granted = [Target::host("a.example").unwrap().under("/x").unwrap()];
    let [strict, permissive] = [Mode::Strict, Mode::Permissive].map(|mode| policy(mode, &[], &[]));
    assert!(strict.depends_on_requests(&authority("a.example:443"), &granted));
    assert!(!permissive.depends_on_requests(&authority("a.example:443"), &granted));
}

#[test]
fn a_decision_says_what_it_rests_on() {
    let strict = policy(Mode::Strict, &["a.example", "192.0.2.0/24"], &[]);
    let granted = [Target::host("b.example").unwrap()];
    let root = RequestPath::parse(b"/").unwrap();
    let basis = |host: &str| {
        let authority = Authority::parse_connect(host.as_bytes()).unwrap();
        let connect = strict.judge_connect(&authority, &granted).unwrap();
        assert_eq!(strict.judge(&authority, &Method::GET, &root, &granted).unwrap(), connect);
        connect
    };
    assert!(matches!(basis("a.example:443"), Basis::Entry(t) if t.to_string() == "a.example/**"));
    assert!(matches!(basis("b.example:443"), Basis::Grant(t) if *t == granted[0]));
    assert!(matches!(basis("192.0.2.9:443"), Basis::Network(_)));
}

#[test]
fn nobody_is_told_to_allow_what_the_rules_refuse_anyway() {
    let at = |path: &str| {
        let target = Target::host("a.example").unwrap().under(path).unwrap();
        target.methods([Method::POST]).unwrap()
    };
    let field = HeldField::new("/token", PlaceholderShape::prefixed("x", Alphabet::Digits, 20));
    let issuing: IssuingEndpoints = [
        IssuingEndpoint::new(at("/tokens"), "a token"),
        IssuingEndpoint::new(at("/tokens/held"), "a token").hold([field]),
        IssuingEndpoint::new(at("/graphql"), "a key").graphql(["createKey"]),
    ]
    .into_iter()
    .collect();
    let issuing = [("a".parse().unwrap(), issuing)];
    let granted = [Target::host("a.example").unwrap().under("/x").unwrap()];
    let of = |mode, allow: &[&str]| policy(mode, allow, &[]).with_issuing(&issuing);
    let strict = of(Mode::Strict, &[]);
    let refusal = judge_granted(&strict, "POST a.example/tokens/1", &granted).unwrap_err();
    assert_eq!(refusal.reason(), Reason::IssuingEndpoint);
    assert_eq!(refusal.decided_by(), Some("a POST a.example/tokens/**"));
    assert!(refusal.to_string().ends_with(": a token"), "{refusal}");
    let fix = refusal.remedy().unwrap();
    assert!(!fix.contains("--allow") && fix.contains("outside of the sandbox"), "{fix}");
    // What the endpoints do not decide can be allowed as always.
    for request in [
        "GET a.example/tokens/1",
        "POST a.example/token",
        "POST a.example/tokens/held",
        "POST a.example/graphql",
    ] {
        let refusal = judge_granted(&strict, request, &granted).unwrap_err();
        assert_eq!(refusal.reason(), Reason::RequestNotAllowed, "{request}");
        assert!(refusal.remedy().unwrap().starts_with("--allow "), "{request}");
    }
    // Whoever is let through here is refused by the rules.
    for policy in [of(Mode::Permissive, &[]), of(Mode::Strict, &["a.example"])] {
        assert_eq!(reason(&policy, "POST a.example/tokens"), None);
    }
}

#[test]
fn a_refusal_names_the_rule_and_a_fix_that_works() {
    let strict = policy(Mode::Strict, &["GET a.example/x"], &["b.example", "POST c.example/x"]);
    for (request, rule, fix) in [
        ("GET d.example/x", None, "--allow d.example"),
        ("GET d.example:8443/x", None, "--allow d.example:8443"),
        ("GET [2001:db8::1]/x", None, "--allow '[2001:db8::1]:443'"),
        ("POST a.example/x", None, "--allow 'POST a.example:443/x'"),
        ("GET a.example/y", None, "--allow 'GET a.example:443/y'"),
        ("GET a.example/y'$(id)'", None, "--allow a.example"),
        ("GET a.example/*", None, "--allow a.example"),
        ("GET a.example/a%20b", None, "--allow a.example"),
        ("GET b.example/x", Some("b.example"), "start the run without --deny 'b.example'"),
        (
            "POST c.example/x",
            Some("POST c.example/x"),
            "start the run without --deny 'POST c.example/x'",
        ),
    ] {
        let refusal = judge(&strict, request).unwrap_err();
        assert_eq!((refusal.decided_by(), refusal.remedy()), (rule, Some(fix)), "{request}");
        if let Some(entry) = fix.strip_prefix("--allow ") {
            let widened = Policy::builder(Mode::Strict).allow(entry.trim_matches('\'')).unwrap();
            assert_eq!(reason(&widened.build(), request), None, "{request}");
        }
    }
}

#[test]
fn nothing_of_a_query_is_in_a_refusal() {
    let strict = policy(Mode::Strict, &["GET a.example/x"], &["POST a.example/x"]);
    for request in [
        "GET b.example/?token=hunter2",
        "GET a.example/y?token=hunter2",
        "POST a.example/x?token=hunter2",
        "GET a.example/x/../x?token=hunter2",
    ] {
        let refusal = judge(&strict, request).unwrap_err();
        assert!(!String::from_utf8_lossy(&refusal.body()).contains("hunter2"), "{request}");
    }
}

fn entry() -> impl Strategy<Value = String> {
    let host =
        prop::sample::select(vec!["a.x.example", "*.x.example", "b.a.x.example", "*.a.x.example"]);
    let port = prop::sample::select(vec!["", ":443", ":8443"]);
    let path = prop::sample::select(vec!["", "/x", "/x/**", "/x/y", "/*/y", "/*/**"]);
    let methods = prop::sample::select(vec!["", "GET ", "POST ", "GET,POST "]);
    (methods, host, port, path)
        .prop_map(|(methods, host, port, path)| format!("{methods}{host}{port}{path}"))
}

fn request() -> impl Strategy<Value = String> {
    let host =
        prop::sample::select(vec!["a.x.example", "b.a.x.example", "c.b.a.x.example", "x.example"]);
    let port = prop::sample::select(vec![":443", ":8443", ":80"]);
    let path = prop::sample::select(vec!["/", "/x", "/x/y", "/x/z", "/z/y", "/x/y/z"]);
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    (method, host, port, path)
        .prop_map(|(method, host, port, path)| format!("{method} {host}{port}{path}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is allowed, no request passes a denial unless some entry that allows it says less.
    #[test]
    fn a_denied_request_passes_only_by_a_narrower_entry(
        allow in prop::collection::vec(entry(), 0..4), deny in entry(), request in request()
    ) {
        let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
        let alone = policy(Mode::Permissive, &[], &[&deny]);
        let both = policy(Mode::Permissive, &allow, &[&deny]);
        if judge(&alone, &request).is_err() {
            let lets_pass = |entry: &&&str| {
                judge(&policy(Mode::Strict, &[**entry], &[]), &request).is_ok()
            };
            let covers = |entry: &&&str| {
                // Every request that the entry allows is denied, and not the other way round.
                let requests = every_request();
                let [mut only_denied, mut only_allowed] = [false; 2];
                for request in &requests {
                    let allowed = judge(&policy(Mode::Strict, &[**entry], &[]), request).is_ok();
                    let denied = judge(&alone, request).is_err();
                    only_denied |= denied && !allowed;
                    only_allowed |= allowed && !denied;
                }
                only_denied && !only_allowed
            };
            if judge(&both, &request).is_ok() {
                prop_assert!(allow.iter().filter(lets_pass).any(|entry| covers(&entry)),
                    "{:?} {} {}", allow, deny, request);
            }
        } else {
            prop_assert!(judge(&both, &request).is_ok());
        }
    }

    /// Strict allows no more than permissive, and CONNECT refuses nothing that a request may do.
    #[test]
    fn modes_and_stages_agree(
        allow in prop::collection::vec(entry(), 0..3),
        deny in prop::collection::vec(entry(), 0..3),
        request in request()
    ) {
        let [allow, deny] = [&allow, &deny].map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
        let host = request.split([' ', '/']).nth(1).unwrap();
        for mode in [Mode::Strict, Mode::Permissive] {
            let policy = policy(mode, &allow, &deny);
            if judge(&policy, &request).is_ok() {
                prop_assert_eq!(connect(&policy, host, &[]), None);
            }
            let authority = Authority::parse_connect(host.as_bytes()).unwrap();
            if !policy.depends_on_requests(&authority, []) {
                prop_assert_eq!(judge(&policy, &request).is_ok(), connect(&policy, host, &[]).is_none());
            }
        }
        if judge(&policy(Mode::Strict, &allow, &deny), &request).is_ok() {
            prop_assert!(judge(&policy(Mode::Permissive, &allow, &deny), &request).is_ok());
        }
    }

    #[test]
    fn any_text_is_an_entry_or_an_error(text in "\\PC{0,24}|[A-Z]{0,4} ?[a-z.*:/0-9\\[\\]]{0,24}") {
        let _ = Policy::builder(Mode::Strict).allow(&text);
        let _ = Policy::builder(Mode::Strict).deny(&text);
    }

    /// A denial covers at least what its target matches.
    #[test]
    fn a_denial_covers_its_target(request in request(), path in "/[xXyY]{0,2}(/[xyY*]{1,2}){0,2}/?") {
        let Ok(target) = Target::host("a.example").unwrap().exact(&path) else { return Ok(()) };
        let denial = Denial::new(target.clone());
        let (method, rest) = request.split_once(' ').unwrap();
        let (host, _) = rest.split_at(rest.find('/').unwrap());
        let authority = Authority::parse_connect(host.as_bytes()).unwrap();
        for sent in ["/x", "/X/y", &path] {
            let sent = RequestPath::parse(sent.as_bytes()).unwrap();
            let method = method.parse().unwrap();
            if sent.matches(&target, &authority, &method) != Match::No {
                prop_assert!(denial.matches(&sent, &authority, &method) != Match::No);
            }
        }
    }
}

fn every_request() -> Vec<String> {
    let mut all = Vec::new();
    for method in ["GET", "POST", "PUT"] {
        for host in ["a.x.example", "b.a.x.example", "c.b.a.x.example", "x.example"] {
            for port in [443, 8443, 80] {
                for path in ["/", "/x", "/x/y", "/x/z", "/z/y", "/x/y/z", "/z/z/z"] {
                    all.push(format!("{method} {host}:{port}{path}"));
                }
            }
        }
    }
    all
}
