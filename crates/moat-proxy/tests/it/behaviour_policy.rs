//! What a policy and the grants let through, asked for in each of the ways in which clients ask.

use moat_proxy::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::grants::*;
use crate::support::client::{Http, head};
use crate::support::origin::Origin;
use crate::support::soon;

#[tokio::test]
async fn what_is_listed_or_granted_is_reached_and_the_rest_by_permission_alone() {
    let (grants, grant) = bearer();
    for mode in [Mode::Permissive, Mode::Strict] {
        let mut policy = policy(mode);
        for entry in ["listed.test", "*.wild.test", "GET part.test/open/**", "port.test:8443"] {
            policy = policy.allow(entry).unwrap();
        }
        let mut world = world(&grants, policy.deny("denied.wild.test").unwrap()).await;
        Vendor::bearer(&world, VENDOR, &grant.canary).await;
        let cases = [
            ("listed.test:443", true, true),
            ("LISTED.Test.:443", true, true),
            ("listed.test:8443", true, false),
            ("listed.test:80", true, false),
            ("a.wild.test:443", true, true),
            ("a.b.wild.test:443", true, true),
            ("wild.test:443", true, false),
            ("notwild.test:443", true, false),
            ("denied.wild.test:443", false, false),
            ("denied.wild.test:22", false, false),
            ("port.test:8443", true, true),
            ("port.test:443", true, false),
            ("part.test:443", true, true),
            (&format!("{VENDOR}:443"), true, true),
            ("other.test:443", true, false),
        ];
        for (authority, permissive, strict) in cases {
            let (_, answer) = world.tunnel(authority).await;
            let open = if mode == Mode::Strict { strict } else { permissive };
            // What may be reached does not exist here, but for the vendor and what is intercepted.
            assert_eq!(!answer.starts_with("HTTP/1.1 403"), open, "{mode} {authority}: {answer}");
            let asked = world.net.resolved().pop();
            if !open {
                assert_eq!(asked, None, "{authority}: a refused name is not looked up");
                let record = world.record(|record| record.status == Some(403)).await;
                let reason =
                    if authority.starts_with("denied") { "denied" } else { "host-not-allowed" };
                assert_eq!((record.reason, record.method.as_str()), (Some(reason), "CONNECT"));
            }
            world.net.forget();
        }
    }
}

#[tokio::test]
async fn a_tunnel_is_opened_for_the_paths_that_it_may_carry() {
    let (grants, _) = bearer();
    let entry = "GET part.test/open/**";
    let mut world = world(&grants, policy(Mode::Strict).allow(entry).unwrap()).await;
    let part = Vendor::tls(&world, "part.test", &["h2", "http/1.1"], |_| true).await;
    for version in Http::BOTH {
        for (line, status) in [
            ("GET /open/x", 200),
            ("GET /open/x?y=/closed", 200),
            ("POST /open/x", 403),
            ("GET /closed", 403),
            ("GET /openx", 403),
        ] {
            let answer = send(&world, "part.test", version, line, &[]).await;
            let reason_of = reason(&answer);
            assert_eq!(answer.status(), status, "{line}");
            let record = world.record(|record| record.method != "CONNECT").await;
            assert_eq!(record.status, Some(status));
            let expected = (status == 403).then_some("request-not-allowed");
            // What passes without a credential says why there was none.
            let noted = expected.or(Some("no-rule"));
            assert_eq!((record.reason, reason_of), (noted, expected), "{line}");
            assert_eq!(record.rule, None);
        }
    }
    assert_eq!(part.origin.requests(), 4);
}

#[tokio::test]
async fn what_is_not_looked_into_carries_the_hosts_own_tls() {
    let (grants, _) = bearer();
    let mut world = world(&grants, policy(Mode::Permissive)).await;
    Origin::tls(&world.origins, &world.net, "raw.test", &["http/1.1"], |_| async {
        crate::support::origin::text("raw")
    })
    .await;
    let (socket, answer) = world.tunnel("raw.test:443").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let connector = world.origin_connector();
    let mut stream = soon(connector.connect("raw.test".try_into().unwrap(), socket)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: raw.test\r\n\r\n").await.unwrap();
    assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 200"));
    let mut body = [0; 3];
    stream.read_exact(&mut body).await.unwrap();
    drop(stream);
    let record = world.record(|record| record.method == "CONNECT").await;
    assert_eq!(
        (record.status, record.rule, record.url.as_str()),
        (Some(200), None, "raw.test:443")
    );
    assert!(record.up > 0 && record.down > 0);
}
