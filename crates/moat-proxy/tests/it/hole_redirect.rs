//! Tries to have a secret carried on: by a redirect, over cleartext, to another port, to a host whose
//! certificate is somebody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moat_proxy::Mode;
use tokio::io::AsyncReadExt;

use crate::grants::*;
use crate::support::client::{Http, rest};
use crate::support::origin::{Origin, raw, script, text};
use crate::support::soon;

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let (grants, grant) = bearer();
    for version in Http::BOTH {
        for status in [301, 302, 303, 307, 308] {
            let world = world(&grants, policy(Mode::Permissive)).await;
            let evil = Vendor::stranger(&world, "evil.test").await;
            let vendor = Origin::tls(
                &world.origins,
                &world.net,
                VENDOR,
                &["h2", "http/1.1"],
                move |_| async move {
                    let mut answer = text("");
                    *answer.status_mut() = status.try_into().unwrap();
                    let to = "https://evil.test/next".parse().unwrap();
                    answer.headers_mut().insert("location", to);
                    answer.headers_mut().insert("refresh", "0; url=/again".parse().unwrap());
                    answer
                },
            )
            .await;
            let answer = send(&world, VENDOR, version, "GET /", &[]).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["location"], "https://evil.test/next");
            assert_eq!((vendor.requests(), evil.origin.connections()), (1, 0));
            assert!(!evil.holds(&grant.canary));
        }
    }
}

#[tokio::test]
async fn nothing_is_filled_in_over_cleartext() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let seen = Vendor::plain(&world, VENDOR, |_| true).await;
    let placeholder = &grant.placeholder;
    for fields in [
        String::new(),
        format!("Authorization: Bearer {placeholder}\r\n"),
        "Upgrade-Insecure-Requests: 1\r\n".to_owned(),
    ] {
        for target in [format!("http://{VENDOR}/"), format!("http://{VENDOR}:80/")] {
            let line = format!("GET {target}");
            let answer = world.direct(&line, &format!("Host: {VENDOR}\r\n{fields}")).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    assert_eq!(seen.origin.requests(), 6);
    assert!(!seen.holds(&grant.canary));
    // A strict run does not even get there: the grant is for TLS.
    world.run.swap(rules(&grants, policy(Mode::Strict).build()));
    let line = format!("GET http://{VENDOR}/");
    let answer = world.direct(&line, &format!("Host: {VENDOR}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(seen.origin.requests(), 6);
}

/// In absolute form, no scheme but http is spoken, whatever the port.
#[tokio::test]
async fn the_tls_port_is_not_spoken_to_in_the_clear_with_a_credential() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let (got, heard) = (Arc::new(AtomicUsize::new(0)), grant.canary.text().to_owned());
    let count = Arc::clone(&got);
    raw(&world.net, VENDOR, 443, move |mut tcp| {
        let (count, heard) = (Arc::clone(&count), heard.clone());
        async move {
            let mut buffer = vec![0; 65536];
            let mut all = Vec::new();
            while let Ok(read @ 1..) = tcp.read(&mut buffer).await {
                all.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&all);
                if text.contains(&heard) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                if text.ends_with("\r\n\r\n") || all[0] == 0x16 {
                    return;
                }
            }
        }
    })
    .await;
    let fields = format!("Host: {VENDOR}\r\nAuthorization: Bearer {}\r\n", grant.placeholder);
    world.direct(&format!("GET http://{VENDOR}:443/"), &fields).await;
    let answer = world.direct(&format!("GET https://{VENDOR}/"), &fields).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Without TLS in the tunnel nothing is forwarded at all.
    let (mut socket, _) = world.tunnel(&format!("{VENDOR}:443")).await;
    let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    assert_eq!(soon(rest(&mut socket)).await, "");
    assert_eq!(got.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn another_port_of_the_host_is_another_place() {
    let (grants, _) = bearer();
    for (mode, status) in [(Mode::Permissive, "200"), (Mode::Strict, "403")] {
        let world = world(&grants, policy(mode)).await;
        raw(&world.net, VENDOR, 8443, |_| async {}).await;
        let (socket, head) = world.tunnel(&format!("{VENDOR}:8443")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{mode}: {head}");
        // Where it is open, nothing is intercepted, so nothing can be filled in.
        let connector = world.connector(&["http/1.1"]);
        assert!(connector.connect(VENDOR.try_into().unwrap(), socket).await.is_err());
    }
}

#[tokio::test]
async fn a_host_that_cannot_prove_its_name_gets_nothing() {
    let (grants, _) = bearer();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Permissive)).await;
        // It is well certified, as somebody else.
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        script(&world.origins, &world.net, "evil.test", &["http/1.1"], move |mut stream| {
            let count = Arc::clone(&count);
            async move {
                let mut byte = [0];
                count.fetch_add(stream.read(&mut byte).await.unwrap_or(0), Ordering::SeqCst);
            }
        })
        .await;
        world.net.add(VENDOR, 443, world.net.real("evil.test", 443));
        let answer = send(&world, VENDOR, version, "GET /", &[]).await;
        assert_eq!((answer.status().as_u16(), reason(&answer)), (502, Some("tls-verify")));
        assert_eq!(heard.load(Ordering::SeqCst), 0);
    }
}
