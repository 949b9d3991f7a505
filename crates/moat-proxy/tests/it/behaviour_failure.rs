//! Failures are told apart from the host's own answers, and recorded.

use std::time::Duration;

use moat_proxy::plane::Limits;
use moat_proxy::{Mode, Policy};
use tokio::io::AsyncWriteExt;

use crate::grants::*;
use crate::names::Names;
use crate::support::client::{Http, head, rest};
use crate::support::origin::{raw, script};
use crate::support::{Rules, World, soon};

#[tokio::test]
async fn each_failure_has_its_status_reason_and_record() {
    let (grants, _) = bearer();
    for version in Http::BOTH {
        for (case, status, expected) in [
            ("no name", 502, "name-lookup-failed"),
            ("closed port", 502, "connection-refused"),
            ("not tls", 502, "tls-handshake"),
            ("another certificate", 502, "tls-verify"),
            ("hangs up", 502, "upstream-reset"),
            ("babbles", 502, "upstream-protocol"),
            ("says nothing", 504, "upstream-timeout"),
        ] {
            let mut limits = Limits::default();
            limits.first_byte = Duration::from_millis(50);
            let mut world = World::with(Rules::default(), limits, |builder| builder).await;
            world.run.swap(rules(&grants, policy(Mode::Strict).build()));
            let (net, ca) = (world.net.clone(), &world.origins);
            match case {
                "no name" => {}
                "closed port" => net.add(VENDOR, 444, ([127, 0, 0, 1], 9).into()),
                "not tls" => {
                    let hello = |mut tcp: tokio::net::TcpStream| async move {
                        _ = tcp.write_all(b"SSH-2.0-x\r\n").await;
                        rest(&mut tcp).await;
                    };
                    raw(&net, VENDOR, 443, hello).await;
                }
                "another certificate" => {
                    script(ca, &net, "b.test", &[], |mut tls| async move {
                        rest(&mut tls).await;
                    })
                    .await;
                    net.add(VENDOR, 443, net.real("b.test", 443));
                }
                _ => {
                    script(ca, &net, VENDOR, &["http/1.1"], move |mut tls| async move {
                        head(&mut tls).await;
                        match case {
                            "babbles" => _ = tls.write_all(b"what\r\n\r\n").await,
                            "says nothing" => _ = rest(&mut tls).await,
                            _ => {}
                        }
                        _ = tls.shutdown().await;
                    })
                    .await;
                }
            }
            let answer = send(&world, VENDOR, version, "GET /x?secret=1", &[]).await;
            assert_eq!(
                (answer.status().as_u16(), reason(&answer)),
                (status, Some(expected)),
                "{case}"
            );
            assert_eq!(answer.headers()["content-type"], "application/json");
            let record = world.record(|record| record.status.is_some()).await;
            assert_eq!((record.status, record.reason), (Some(status), Some(expected)), "{case}");
            assert_eq!(record.url, format!("https://{VENDOR}/x"));
        }
    }
}

#[tokio::test]
async fn a_hosts_own_failure_is_not_marked_as_the_proxys() {
    let (grants, _) = bearer();
    for version in Http::BOTH {
        for status in [403, 407, 421, 502, 504] {
            let world = world(&grants, policy(Mode::Strict)).await;
            script(&world.origins, &world.net, VENDOR, &["http/1.1"], move |mut tls| async move {
                head(&mut tls).await;
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nX-Moat-Blocked: denied\r\nX-Moat-Error: dns\r\n\
                     Content-Length: 2\r\n\r\nno"
                );
                _ = tls.write_all(answer.as_bytes()).await;
                rest(&mut tls).await;
            })
            .await;
            let answer = send(&world, VENDOR, version, "GET /", &[]).await;
            assert_eq!((answer.status().as_u16(), reason(&answer)), (status, None));
            assert_eq!(answer.body(), "no");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_and_a_head_that_never_ends_are_given_up() {
    let mut limits = Limits::default();
    limits.client_handshake = Duration::from_millis(50);
    limits.header_read = Duration::from_millis(50);
    let mut world = World::with(Rules::default(), limits, |builder| builder).await;
    // The beginning of a ClientHello, and no more.
    let (mut socket, _) = world.tunnel("a.test:443").await;
    socket.write_all(b"\x16\x03\x01\x02\0\x01\0").await.unwrap();
    assert_eq!(soon(rest(&mut socket)).await, "");
    assert_eq!(world.record(|_| true).await.reason, Some("client-tls"));
    for begun in ["GET / HTTP/1.1\r\nHost: a.test\r\nX-", ""] {
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = soon(rest(&mut stream)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        let mut socket = world.socket().await;
        socket.write_all(begun.as_bytes()).await.unwrap();
        soon(rest(&mut socket)).await;
    }
    assert_eq!(world.net.dials(), 0);
}

#[tokio::test]
async fn a_refused_address_is_recorded_without_a_connection() {
    let (grants, _) = bearer();
    let names = Names::default();
    names.answer(VENDOR, &[&["10.0.0.7"]]);
    let install = |builder| names.install(builder);
    let mut world = World::with(Rules::default(), Limits::default(), install).await;
    world.run.swap(rules(&grants, Policy::builder(Mode::Strict).build()));
    let answer = send(&world, VENDOR, Http::Two, "GET /", &[]).await;
    assert_eq!((answer.status().as_u16(), reason(&answer)), (403, Some("private-address")));
    let record = world.record(|_| true).await;
    assert_eq!((record.reason, record.upstream_protocol), (Some("private-address"), None));
    assert_eq!(names.dialled(), []);
}
