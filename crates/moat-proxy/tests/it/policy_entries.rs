//! What the person writes, and what it decides.

use moat_provider_core::Target;
use moat_proxy::{Mode, Policy, Reason};

use crate::policy_support::{connect, judge, judge_granted, policy, reason};

#[test]
fn the_mode_is_one_of_two_words() {
    assert_eq!("permissive".parse::<Mode>().unwrap(), Mode::Permissive);
    assert_eq!("strict".parse::<Mode>().unwrap(), Mode::Strict);
    for word in ["", "Strict", "STRICT", " strict", "strict ", "stric", "allow", "off", "none"] {
        assert!(word.parse::<Mode>().is_err(), "{word:?}");
    }
}

#[test]
fn texts_that_are_no_entry_are_errors() {
    for text in [
        "",
        " ",
        "*",
        "*.com",
        "api.example.com ",
        " api.example.com",
        "api example.com",
        "GET",
        "GET ",
        "GET  api.example.com",
        "get api.example.com",
        "PSOT api.example.com/x",
        "GET,PSOT api.example.com/x",
        "GET, POST api.example.com/x",
        "GET,,POST api.example.com/x",
        "TRACE api.example.com",
        "CONNECT api.example.com",
        "GET POST api.example.com",
        "allow GET /x",
        "POST /x",
        "/x",
        "https://api.example.com",
        "https://api.example.com/x",
        "http://api.example.com:80/x",
        "user@api.example.com",
        "api.example.com:",
        "api.example.com:0",
        "api.example.com:x",
        "api.example.com:+1",
        "api.example.com:65536",
        "api.example.com/",
        "POST api.example.com/",
        "api.example.com/a/../b",
        "api.example.com/a//b",
        "api.example.com/a?b=c",
        "api.example.com/a#b",
        "api.example.com/a%2fb",
        "api.example.com/**/x",
        "api.example.com/a*",
        "api.example.com\\x",
        "bücher.example",
        "127.1",
        "10.0.0.0/33",
        "10.0.0/8",
        "GET 10.0.0.0/8 x",
        "[::ffff:10.0.0.1]:443",
        "::ffff:10.0.0.0/104",
    ] {
        assert!(Policy::builder(Mode::Permissive).allow(text).is_err(), "--allow {text:?}");
        assert!(Policy::builder(Mode::Permissive).deny(text).is_err(), "--deny {text:?}");
    }
}

#[test]
fn texts_that_are_entries() {
    for text in [
        "api.example.com",
        "API.example.com.",
        "api.example.com:8443",
        "*.example.com",
        "*.example.com:8443",
        "intranet",
        "192.0.2.1:443",
        "[2001:db8::1]:443",
        "2001:db8::1",
        "10.0.0.0/8",
        "10.1.2.3/8",
        "fd00::/8",
        "POST api.example.com/x",
        "GET,HEAD api.example.com/repos/*/pulls",
        "* api.example.com/x/**",
        "api.example.com/**",
        "PROPFIND dav.example.com",
    ] {
        assert!(Policy::builder(Mode::Permissive).allow(text).is_ok(), "--allow {text:?}");
        assert!(Policy::builder(Mode::Permissive).deny(text).is_ok(), "--deny {text:?}");
    }
}

#[test]
fn strict_runs_reach_what_is_listed() {
    let strict = policy(
        Mode::Strict,
        &[
            "a.example",
            "b.example:8080",
            "*.c.example",
            "*.d.example:8080",
            "192.0.2.0/24",
            "[2001:db8::1]:443",
        ],
        &[],
    );
    for host in [
        "a.example:443",
        "A.EXAMPLE.:443",
        "b.example:8080",
        "x.c.example:443",
        "Y.x.C.example:443",
        "x.d.example:8080",
        "192.0.2.7:443",
        "192.0.2.7:9",
        "[2001:db8::1]:443",
    ] {
        assert_eq!(connect(&strict, host, &[]), None, "{host}");
    }
    for host in [
        "a.example:80",
        "a.example:8443",
        "b.example:443",
        "c.example:443",
        "notc.example:443",
        "x.notc.example:443",
        "x.c.example:8080",
        "x.d.example:443",
        "a.example.evil.example:443",
        "xa.example:443",
        "192.0.3.1:443",
        "[2001:db8::2]:443",
        "other.example:443",
    ] {
        assert_eq!(connect(&strict, host, &[]), Some(Reason::HostNotAllowed), "{host}");
        assert_eq!(
            reason(&strict, &format!("GET {host}/x")),
            Some(Reason::HostNotAllowed),
            "{host}"
        );
    }
    let empty = policy(Mode::Strict, &[], &[]);
    assert_eq!(connect(&empty, "a.example:443", &[]), Some(Reason::HostNotAllowed));
    let permissive = policy(Mode::Permissive, &["a.example"], &[]);
    assert_eq!(connect(&permissive, "b.example:9999", &[]), None);
    assert_eq!(reason(&permissive, "GET b.example:9999/x"), None);
}

#[test]
fn strict_runs_reach_what_their_grants_need() {
    let strict = policy(Mode::Strict, &["a.example"], &["POST api.vendor.example/keys"]);
    let granted = [
        Target::host("api.vendor.example").unwrap(),
        Target::host("*.cdn.vendor.example").unwrap(),
        Target::host("login.vendor.example").unwrap().under("/oauth").unwrap(),
    ];
    for host in [
        "a.example:443",
        "api.vendor.example:443",
        "x.cdn.vendor.example:443",
        "login.vendor.example:443",
    ] {
        assert_eq!(connect(&strict, host, &granted), None, "{host}");
    }
    for host in ["vendor.example:443", "cdn.vendor.example:443", "api.vendor.example:80"] {
        assert_eq!(connect(&strict, host, &granted), Some(Reason::HostNotAllowed), "{host}");
    }
    for (request, expected) in [
        ("GET api.vendor.example/x", None),
        ("GET login.vendor.example/oauth/token", None),
        ("GET login.vendor.example/oauthx", Some(Reason::RequestNotAllowed)),
        ("GET login.vendor.example/oauth/../x", Some(Reason::PathAmbiguous)),
        ("GET api.vendor.example/keys", None),
        ("POST api.vendor.example/keys", Some(Reason::Denied)),
        ("GET vendor.example/", Some(Reason::HostNotAllowed)),
    ] {
        let refusal = judge_granted(&strict, request, &granted).err();
        assert_eq!(refusal.map(|refusal| refusal.reason()), expected, "{request}");
    }
    assert_eq!(reason(&strict, "GET api.vendor.example/x"), Some(Reason::HostNotAllowed));
}

#[test]
fn a_denial_prevails_over_every_grant() {
    let granted = [Target::host("api.vendor.example").unwrap().under("/v1").unwrap()];
    for mode in [Mode::Strict, Mode::Permissive] {
        let denied = policy(mode, &[], &["*.vendor.example"]);
        assert_eq!(connect(&denied, "api.vendor.example:443", &granted), Some(Reason::Denied));
        let refusal = judge_granted(&denied, "GET api.vendor.example/v1", &granted).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Denied);
        assert_eq!(refusal.decided_by(), Some("*.vendor.example"));
    }
}

#[test]
fn a_host_is_denied_on_every_port_unless_one_is_written() {
    let denied = policy(
        Mode::Permissive,
        &[],
        &["a.example", "*.b.example", "c.example:8443", "192.0.2.1", "POST d.example/x"],
    );
    for host in [
        "a.example:443",
        "a.example:80",
        "A.example.:8443",
        "x.b.example:8080",
        "c.example:8443",
        "192.0.2.1:80",
        "[::ffff:192.0.2.1]:80",
        "[64:ff9b::192.0.2.1]:80",
        "[2002:c000:201::]:80",
    ] {
        assert_eq!(connect(&denied, host, &[]), Some(Reason::Denied), "{host}");
        assert_eq!(reason(&denied, &format!("GET {host}/x")), Some(Reason::Denied), "{host}");
    }
    for host in ["c.example:443", "b.example:443", "xa.example:443", "192.0.2.2:80"] {
        assert_eq!(connect(&denied, host, &[]), None, "{host}");
    }
    assert_eq!(connect(&denied, "d.example:8080", &[]), None, "the request decides");
    assert_eq!(reason(&denied, "POST d.example:8080/x"), Some(Reason::Denied));
}

#[test]
fn denied_networks_are_denied_by_address() {
    for mode in [Mode::Permissive, Mode::Strict] {
        let denied = policy(mode, &["8.8.8.8:443"], &["8.8.8.0/24"]);
        for host in ["8.8.8.8:443", "[64:ff9b::8.8.8.8]:443", "[2002:808:808::]:443"] {
            assert_eq!(connect(&denied, host, &[]), Some(Reason::Denied), "{host}");
            assert_eq!(reason(&denied, &format!("GET {host}/")), Some(Reason::Denied), "{host}");
        }
    }
}

#[test]
fn the_most_specific_entry_decides() {
    for (allow, deny, request, allowed) in [
        // Equal: denied.
        ("a.example", "a.example", "GET a.example/x", false),
        ("a.example:443", "a.example:443", "GET a.example/x", false),
        ("GET a.example/x", "GET a.example/x", "GET a.example/x", false),
        // The denial says less: denied.
        ("*.example.org", "a.example.org", "GET a.example.org/x", false),
        ("a.example", "a.example/x", "GET a.example/x", false),
        ("a.example", "a.example/x", "GET a.example/y", true),
        ("a.example", "POST a.example", "POST a.example/x", false),
        ("a.example", "POST a.example", "GET a.example/x", true),
        ("a.example/x/**", "a.example/x/y", "GET a.example/x/y", false),
        // The denial says more: allowed.
        ("a.example.org", "*.example.org", "GET a.example.org/x", true),
        ("a.example.org", "*.example.org", "GET b.example.org/x", false),
        ("a.example/x", "a.example", "GET a.example/x", true),
        ("a.example/x", "a.example", "GET a.example/y", false),
        ("GET a.example", "a.example", "GET a.example/y", true),
        ("GET a.example", "a.example", "POST a.example/y", false),
        ("GET a.example/x/y", "a.example/x/**", "GET a.example/x/y", true),
        ("a.example:443", "a.example", "GET a.example/y", true),
        ("a.example:443", "a.example", "GET a.example:8443/y", false),
        // They lie across each other: denied.
        ("GET a.example", "a.example/x", "GET a.example/x", false),
        ("a.example.org", "POST *.example.org", "POST a.example.org/x", false),
        ("a.example.org:443", "*.example.org/x", "GET a.example.org/x", false),
        ("a.example:8443", "a.example:443", "GET a.example/x", false),
    ] {
        let mode = Mode::Permissive;
        let policy = policy(mode, &[allow], &[deny]);
        let refusal = judge(&policy, request).err();
        assert_eq!(refusal.is_none(), allowed, "{allow:?} {deny:?} {request}: {refusal:?}");
    }
}

#[test]
fn an_exception_from_an_exception() {
    for mode in [Mode::Strict, Mode::Permissive] {
        let policy =
            policy(mode, &["a.example.org"], &["*.example.org", "a.example.org/secret/**"]);
        assert_eq!(connect(&policy, "a.example.org:443", &[]), None);
        assert_eq!(connect(&policy, "b.example.org:443", &[]), Some(Reason::Denied));
        assert_eq!(reason(&policy, "GET a.example.org/x"), None);
        assert_eq!(reason(&policy, "GET a.example.org/secret/x"), Some(Reason::Denied));
        assert_eq!(reason(&policy, "GET b.example.org/x"), Some(Reason::Denied));
    }
    let hidden = policy(Mode::Permissive, &["a.example/x"], &["a.example"]);
    assert_eq!(connect(&hidden, "a.example:443", &[]), None, "for the request that is excepted");
    assert_eq!(connect(&hidden, "a.example:80", &[]), Some(Reason::Denied));
}

#[test]
fn paths_of_entries() {
    for (entry, path, covered) in [
        ("/user", "/user", true),
        ("/user", "/user/foo", false),
        ("/user", "/users", false),
        ("/user", "/", false),
        ("/repos/*", "/repos/a", true),
        ("/repos/*", "/repos", false),
        ("/repos/*", "/repos/a/b", false),
        ("/repos/*/pulls", "/repos/a/pulls", true),
        ("/repos/*/pulls", "/repos/a/b/pulls", false),
        ("/repos/**", "/repos", true),
        ("/repos/**", "/repos/a/b", true),
        ("/repos/**", "/reposx", false),
        ("/*", "/a", true),
        ("/*", "/", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/repos/*/issues/**", "/repos/a/issues/1", true),
        ("/repos/*/issues/**", "/repos/a/issue", false),
        ("/user", "/user?q=/other", true),
        ("/other", "/user?q=/other", false),
    ] {
        let entry = format!("a.example{entry}");
        let request = format!("GET a.example{path}");
        let strict = policy(Mode::Strict, &[&entry], &[]);
        assert_eq!(judge(&strict, &request).is_ok(), covered, "--allow {entry} {request}");
        let permissive = policy(Mode::Permissive, &[], &[&entry]);
        assert_eq!(judge(&permissive, &request).is_err(), covered, "--deny {entry} {request}");
    }
}

#[test]
fn a_denial_is_read_widely() {
    let permissive = policy(Mode::Permissive, &[], &["POST a.example/x/y", "b.example/d/"]);
    for request in [
        "POST a.example/x/y",
        "POST a.example/x/y/",
        "POST a.example/x/y//",
        "POST a.example/X/y",
        "POST a.example/x/Y/",
        "post a.example/x/y",
        "PoSt a.example/X/Y",
        "POST a.example/x/y?z",
        "POST a.example:8080/x/y",
        "POST a.example/x/%79",
        "GET b.example/d",
    ] {
        let refusal = judge(&permissive, request).expect_err(request);
        assert!(matches!(refusal.reason(), Reason::Denied | Reason::PathAmbiguous), "{request}");
    }
    for request in ["GET a.example/x/y", "POST a.example/x", "POST a.example/x/yy"] {
        assert_eq!(reason(&permissive, request), None, "{request}");
    }
    let strict = policy(Mode::Strict, &["POST a.example/x"], &[]);
    for request in ["POST a.example/x/", "POST a.example/X", "post a.example/x"] {
        assert_eq!(reason(&strict, request), Some(Reason::RequestNotAllowed), "{request}");
    }
}
