//! Tries to get around rules for paths and methods: with other spellings, overrides and versions.

use moat_proxy::Mode;

use crate::engine_support::host;
use crate::grants::*;
use crate::support::client::{Http, Inner, empty};
use crate::support::soon;

/// Spellings that some server reads as a path below `/admin`.
const INTO_ADMIN: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/%61dmin/x",
    "/%61%64%6d%69%6e/x",
    "//admin/x",
    "/./admin/x",
    "/x/../admin/x",
    "/x/%2e%2e/admin/x",
    "/x/%2E%2e/admin",
    "/x/.%2e/admin",
    "/x/..%2fadmin/x",
    "/x%2f..%2fadmin/x",
    "/x/..%5cadmin",
    "/x/..\\admin",
    "/x;/../admin",
    "/x/..;/admin/x",
    "/admin;x=1/y",
    "/admin%2fx",
    "/admin%5cx",
    "/admin\\x",
    "/%2fadmin/x",
    "/x/%252e%252e/admin/x",
    "/admin%00/x",
    "/admin%20/x",
    "/admin%2500/x",
    "/public/%2e%2e%2fadmin/x",
    "/x//../admin/x",
    "/public/..%252fadmin/x",
];

/// Spellings that have nothing to do with it.
const ELSEWHERE: &[&str] = &[
    "/",
    "/x",
    "/public/admin",
    "/administrator",
    "/x?/admin",
    "/x?a=/../admin",
    "/x%3f/y",
    "/adm%C3%ADn",
];

#[tokio::test]
async fn no_spelling_leads_under_a_denied_path() {
    let (grants, grant) = bearer();
    for mode in [Mode::Permissive, Mode::Strict] {
        let policy = policy(mode).deny(&format!("{VENDOR}/admin/**")).unwrap();
        let world = world(&grants, policy.allow(VENDOR).unwrap()).await;
        let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
        for path in INTO_ADMIN {
            // A client of HTTP/2 checks what it sends; on the wire of HTTP/1.1 everything goes.
            for query in ["", "?q=1", "?/../x"] {
                let request = format!(
                    "GET {path}{query} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n"
                );
                let answer = world.wire(VENDOR, &request).await;
                assert!(answer.starts_with("HTTP/1.1 4"), "{mode} {path}{query}: {answer}");
            }
            if path.parse::<http::Uri>().is_ok() && !path.starts_with("//") {
                let line = format!("GET {path}");
                let answer = send(&world, VENDOR, Http::Two, &line, &[]).await;
                assert!(answer.status().is_client_error(), "{mode} {path}");
            }
        }
        assert_eq!(vendor.origin.requests(), 0);
        for path in ELSEWHERE {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n");
            let answer = world.wire(VENDOR, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{mode} {path}: {answer}");
            // What was judged is what went out.
            assert_eq!(vendor.last().head.uri.path_and_query().unwrap(), path);
        }
    }
}

#[tokio::test]
async fn no_spelling_leads_out_of_an_allowed_path() {
    let (grants, _) = bearer();
    let mut reach = Grants::new();
    let other = grant(&mut reach, "other");
    reach.bearer(&other, host(VENDOR).under("/never").unwrap());
    let policy = policy(Mode::Strict).allow(&format!("{VENDOR}/public/**")).unwrap();
    let world = world(&reach, policy).await;
    let vendor = Vendor::tls(&world, VENDOR, &["http/1.1"], |_| true).await;
    for path in [
        "/",
        "/publicx",
        "/Public/x",
        "/public/../x",
        "/public/..",
        "/public/%2e%2e/x",
        "/public/..%2fx",
        "/public%2f..%2fx",
        "/public/..;/x",
        "/public/..\\x",
        "/public/%2e%2e%5cx",
        "/public/%252e%252e/x",
        "//x/public/y",
        "/x/../public/../y",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n");
        let answer = world.wire(VENDOR, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    assert_eq!(vendor.origin.requests(), 0);
    let answer = send(&world, VENDOR, Http::One, "GET /public/a/../b?c=/../d", &[]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(vendor.last().head.uri, "/public/a/../b?c=/../d");
    drop(grants);
}

#[tokio::test]
async fn a_denial_holds_on_every_port_and_over_cleartext() {
    let (grants, _) = bearer();
    let policy = policy(Mode::Permissive).deny("denied.test").unwrap();
    let world = world(&grants, policy.deny("part.test/admin/**").unwrap()).await;
    Vendor::plain(&world, "part.test", |_| true).await;
    for port in [22, 80, 443, 8443] {
        let (_, head) = world.tunnel(&format!("denied.test:{port}")).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{port}: {head}");
        let line = format!("GET http://denied.test:{port}/");
        let answer = world.direct(&line, "Host: denied.test\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{port}: {answer}");
    }
    assert_eq!(world.net.resolved(), [""; 0]);
    for (path, status) in
        [("/admin/x", 403), ("/%61dmin/x", 403), ("/x/..%2fadmin/", 400), ("/", 200)]
    {
        let answer = world.direct(&format!("GET http://part.test{path}"), "Host: x\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn nothing_overrides_the_method_that_was_judged() {
    let (grants, grant) = bearer();
    let policy = policy(Mode::Strict).allow(&format!("GET,POST {VENDOR}")).unwrap();
    let policy = policy.deny(&format!("DELETE {VENDOR}")).unwrap();
    let world = world(&grants, policy).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    for version in Http::BOTH {
        for header in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x-forwarded-host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-path",
            "forwarded",
        ] {
            let answer = send(&world, VENDOR, version, "POST /x", &[(header, "DELETE")]).await;
            assert_eq!(answer.status(), 200, "{header}");
            assert_eq!(vendor.last().all(header), [""; 0], "{header}");
        }
        let before = vendor.origin.requests();
        for line in [
            "POST /x?_method=DELETE",
            "POST /x?a=1&_METHOD=delete",
            "POST /x?.method=DELETE",
            "POST /x?%5bmethod=DELETE",
            "POST /x?%24httpMethod=DELETE",
            "DELETE /x",
        ] {
            let answer = send(&world, VENDOR, version, line, &[]).await;
            assert!(answer.status().is_client_error(), "{line}");
        }
        assert_eq!(vendor.origin.requests(), before);
    }
}

#[tokio::test]
async fn methods_are_what_they_are_written_as() {
    let (grants, _) = bearer();
    let policy = policy(Mode::Permissive).deny(&format!("DELETE {VENDOR}")).unwrap();
    let world = world(&grants, policy).await;
    let vendor = Vendor::tls(&world, VENDOR, &["h2"], |_| true).await;
    let refused = ["DELETE", "TRACE", "TRACK", "CONNECT", "delete", "Delete", "trace", "connect"];
    for method in refused {
        let request = format!("{method} / HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n");
        let answer = world.wire(VENDOR, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
    }
    let Inner::Two(mut sender) = world.client(VENDOR, Http::Two).await.inner else {
        unreachable!()
    };
    for method in ["DELETE", "TRACE", "delete"] {
        let request = http::Request::builder().method(method).uri(format!("https://{VENDOR}/"));
        sender.ready().await.unwrap();
        let answer = soon(sender.send_request(request.body(empty()).unwrap())).await.unwrap();
        assert!(answer.status().is_client_error(), "{method}");
    }
    assert_eq!(vendor.origin.requests(), 0);
}

#[tokio::test]
async fn nothing_overrides_a_method_or_path_where_a_policy_alone_looks() {
    let (grants, _) = bearer();
    let policy = policy(Mode::Permissive).deny("DELETE other.test").unwrap();
    let world = world(&grants, policy.deny("part.test/admin/**").unwrap()).await;
    let other = Vendor::tls(&world, "other.test", &["h2", "http/1.1"], |_| true).await;
    let part = Vendor::plain(&world, "part.test", |_| true).await;
    for header in [
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "x-http-method",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-http-host-override",
        "x-forwarded-prefix",
    ] {
        for version in Http::BOTH {
            let answer =
                send(&world, "other.test", version, "POST /x", &[(header, "DELETE")]).await;
            assert_eq!(answer.status(), 200, "{header}");
            assert_eq!(other.last().all(header), [""; 0], "{header}");
        }
        let lines = format!("Host: part.test\r\n{header}: /admin/x\r\n");
        let answer = world.direct("GET http://part.test/", &lines).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{header}: {answer}");
        assert_eq!(part.last().all(header), [""; 0], "{header}");
    }
}
