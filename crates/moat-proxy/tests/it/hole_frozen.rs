//! Tries to go on with what was true when a tunnel was opened.

use http::header::AUTHORIZATION;
use moat_proxy::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::grants::*;
use crate::support::client::{Http, empty, head, rest, whole};
use crate::support::origin::{raw, script};
use crate::support::{World, soon};

#[tokio::test]
async fn a_tighter_policy_holds_for_the_next_request_of_an_open_tunnel() {
    let (grants, grant) = bearer();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Permissive)).await;
        let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
        let mut client = world.client(VENDOR, version).await;
        assert_eq!(client.get("/a").await.status(), 200);
        let steps = [
            (policy(Mode::Permissive).deny(&format!("{VENDOR}/a")).unwrap(), "/a", 403),
            (policy(Mode::Permissive).deny(&format!("{VENDOR}/a")).unwrap(), "/b", 200),
            (policy(Mode::Permissive).deny(&format!("POST {VENDOR}")).unwrap(), "/a", 200),
            (policy(Mode::Permissive).deny(VENDOR).unwrap(), "/a", 403),
            (policy(Mode::Permissive), "/a", 200),
        ];
        for (policy, path, status) in steps {
            world.run.swap(rules(&grants, policy.build()));
            assert_eq!(client.get(path).await.status(), status, "{path} {version:?}");
        }
        assert_eq!(vendor.origin.requests(), 4);
    }
}

#[tokio::test]
async fn a_grant_that_was_taken_away_fills_nothing_any_more() {
    let (grants, grant) = bearer();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Permissive)).await;
        let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
        let mut client = world.client(VENDOR, version).await;
        let mut ask = async || {
            let request = client.request("GET", "/");
            let request = request.header(AUTHORIZATION, format!("Bearer {}", grant.placeholder));
            let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
            whole(answer).await.status().as_u16()
        };
        assert_eq!(ask().await, 200);
        vendor.forget();
        world.run.swap(rules(&Grants::new(), policy(Mode::Permissive).build()));
        assert_eq!(ask().await, 401);
        assert!(!vendor.holds(&grant.canary));
        // Refused as any other host, once the policy is strict.
        world.run.swap(rules(&Grants::new(), policy(Mode::Strict).build()));
        assert_eq!(ask().await, 403);
    }
}

/// Opens a WebSocket, a kept connection, an HTTP/2 connection and a raw tunnel.
async fn open_everything(
    world: &World,
) -> (Vec<Box<dyn Reading>>, [crate::support::client::Client; 2]) {
    script(&world.origins, &world.net, VENDOR, &["http/1.1"], |mut stream| async move {
        loop {
            let request = head(&mut stream).await;
            if request.is_empty() {
                return;
            }
            if !request.starts_with("GET /ws") {
                let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(ok).await.unwrap();
                continue;
            }
            let accept = crate::plane_upgrade::accept(&request);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            rest(&mut stream).await;
            return;
        }
    })
    .await;
    raw(&world.net, "raw.test", 22, |mut tcp| async move {
        rest(&mut tcp).await;
    })
    .await;
    let mut websocket = world.tls(VENDOR, &["http/1.1"]).await;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    websocket.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(head(&mut websocket)).await.starts_with("HTTP/1.1 101"));
    let (tunnel, answer) = world.tunnel("raw.test:22").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (idle, _) = world.tunnel(&format!("{VENDOR}:443")).await;
    let mut clients =
        [world.client(VENDOR, Http::One).await, world.client(VENDOR, Http::Two).await];
    for client in &mut clients {
        assert_eq!(client.get("/").await.status(), 200);
    }
    (vec![Box::new(websocket), Box::new(tunnel), Box::new(idle)], clients)
}

trait Reading: tokio::io::AsyncRead + Unpin + Send {}
impl<T: tokio::io::AsyncRead + Unpin + Send> Reading for T {}

#[tokio::test]
async fn everything_closes_when_the_run_ends() {
    let (grants, _) = bearer();
    for dropped in [false, true] {
        let world = world(&grants, policy(Mode::Permissive)).await;
        let (open, clients) = open_everything(&world).await;
        let World { run, address, .. } = world;
        if dropped {
            // Whoever forgets to stop a run ends it all the same.
            drop(run);
        } else {
            run.stop().await;
        }
        for mut stream in open {
            let mut byte = [0];
            let read = soon(stream.read(&mut byte)).await;
            assert!(!matches!(read, Ok(1..)), "{read:?}");
        }
        for mut client in clients {
            let request = client.request("GET", "/").body(empty()).unwrap();
            assert!(soon(client.send(request)).await.is_err());
        }
        // And the token is worth nothing.
        let mut socket = TcpStream::connect(address).await.unwrap();
        let auth = crate::support::client::basic();
        let request =
            format!("GET http://x/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {auth}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 407"));
    }
}

/// A host that ends while its runs go on leaves nothing open either.
#[tokio::test]
async fn everything_closes_when_the_proxy_ends() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let (open, _clients) = open_everything(&world).await;
    world.proxy.shut_down();
    for mut stream in open {
        let mut byte = [0];
        let read = soon(stream.read(&mut byte)).await;
        assert!(!matches!(read, Ok(1..)), "{read:?}");
    }
    let listening = async {
        while TcpStream::connect(world.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(listening).await;
}
