//! Answers that come before the request is complete.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use moat_proxy::FAILED;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Http, basic, full, head, rest};
use crate::support::origin::{Origin, script, text};
use crate::support::{Rules, World, soon};

/// More than all buffers on the way hold.
const LONG: usize = 24 * 1024 * 1024;

/// A client that writes all before it reads, as the simple ones do.
async fn upload(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), head: &str) -> String {
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..LONG / piece.len() {
        soon(stream.write_all(&piece)).await.unwrap();
    }
    soon(rest(stream)).await
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LONG}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_is_seen_in_all_four_pairs() {
    for origin in Http::BOTH {
        let world = World::new(Rules::default()).await;
        Origin::tls(&world.origins, &world.net, "a.test", &[origin.alpn()], |_| async {
            let mut reply = text("too much");
            *reply.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            reply
        })
        .await;
        for _ in 0..4 {
            let mut stream = world.tls("a.test", &["http/1.1"]).await;
            let answer = upload(&mut stream, &post("/")).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{origin:?}: {answer}");
            assert!(answer.ends_with("too much"), "{origin:?}: {answer}");

            let mut client = world.client("a.test", Http::Two).await;
            let body = full(Bytes::from(vec![b'x'; LONG]));
            let request = client.request("POST", "/").body(body).unwrap();
            let answer = soon(client.send(request)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{origin:?}");
            assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "too much");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_answers_and_resets_has_answered() {
    let world = World::new(Rules::default()).await;
    script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
        // Otherwise the answer waits in the host, which throws it away when it resets.
        stream.get_ref().0.set_nodelay(true).unwrap();
        head(&mut stream).await;
        let refusal = b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(refusal).await.unwrap();
        // Closed with bytes that nobody reads: a reset.
    })
    .await;
    for version in Http::BOTH {
        for _ in 0..8 {
            let mut client = world.client("a.test", version).await;
            let body = full(Bytes::from(vec![b'x'; 1024 * 1024]));
            let request = client.request("POST", "/").body(body).unwrap();
            let answer = soon(client.send(request)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{version:?}");
            assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "no");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxys_own_refusal_is_seen_by_who_uploads() {
    let world = World::new(Rules::default()).await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    let answer = upload(&mut stream, &post("/")).await;
    assert!(answer.contains(&format!("{FAILED}: name-lookup-failed")), "{answer}");
    let mut socket = world.socket().await;
    let answer = upload(&mut socket, &post("http://a.test/")).await;
    assert!(answer.starts_with("HTTP/1.1 407"), "{answer}");
    let mut socket = world.socket().await;
    let request = post("http://a.test/").replacen(
        "\r\n",
        &format!("\r\nProxy-Authorization: {}\r\n", basic()),
        1,
    );
    let answer = upload(&mut socket, &request).await;
    assert!(answer.contains(&format!("{FAILED}: name-lookup-failed")), "{answer}");
}
