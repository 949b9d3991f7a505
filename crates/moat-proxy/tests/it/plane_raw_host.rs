//! Hosts that misbehave in HTTP/1.1: the next request gets its own answer, or none.

use http::StatusCode;
use http_body_util::BodyExt;
use moat_proxy::FAILED;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Http, empty, full, head, rest, whole};
use crate::support::origin::script;
use crate::support::{Rules, World, resident, soon};

/// An answer that nobody asked for.
const SMUGGLED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";

/// Serves a host that answers `/odd` with these bytes and everything else as it should, on the same
/// connection.
async fn odd(world: &World, answer: String) {
    script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
        let answer = answer.clone();
        async move {
            loop {
                let request = head(&mut stream).await;
                let sent = match request.split(' ').nth(1) {
                    None => return,
                    Some("/odd") => stream.write_all(answer.as_bytes()).await,
                    Some(path) => {
                        let length = path.len();
                        let good =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
                        stream.write_all(good.as_bytes()).await
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        }
    })
    .await;
}

/// Asks for `/odd` and then for others, on one tunnel as long as it is open. Returns what came of
/// the first: status and body, or nothing when the body broke off.
async fn then_others(answer: &str, client: Http) -> Option<(StatusCode, String)> {
    let world = World::new(Rules::default()).await;
    odd(&world, answer.to_owned()).await;
    let mut sender = world.client("a.test", client).await;
    let request = sender.request("GET", "/odd").body(empty()).unwrap();
    let first = match soon(sender.send(request)).await {
        Ok(answer) => {
            let status = answer.status();
            let body = soon(answer.into_body().collect()).await;
            body.ok().map(|body| (status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        }
        Err(_) => None,
    };
    for path in ["/two", "/three", "/four"] {
        let request = sender.request("GET", path).body(empty()).unwrap();
        let answer = match soon(sender.send(request)).await {
            Ok(answer) => whole(answer).await,
            Err(_) => {
                sender = world.client("a.test", client).await;
                soon(sender.get(path)).await
            }
        };
        assert_eq!(answer.body(), path, "after {answer:?}");
    }
    first
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let whole = [
        ("Content-Length: 3\r\n\r\none", "one"),
        ("Content-Length: 3\r\nContent-Length: 3\r\n\r\none", "one"),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", "one"),
        ("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", "one"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3\r\none\r\n0\r\n\r\n", "one"),
        ("Content-Length: 0\r\n\r\n", ""),
    ];
    for (answer, body) in whole {
        for client in Http::BOTH {
            // More than once, because the host's bytes and the next request race.
            for _ in 0..8 {
                let answer = format!("HTTP/1.1 200 OK\r\n{answer}{SMUGGLED}");
                let first = then_others(&answer, client).await;
                let refused = first.as_ref().is_none_or(|(status, _)| *status == 502);
                let right = Some((StatusCode::OK, body.to_owned()));
                assert!(refused || first == right, "{answer:?}: {first:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_with_two_readings_is_a_502() {
    let refused = [
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\none",
        "Content-Length: 3, 4\r\n\r\none",
        "Content-Length: +3\r\n\r\none",
        "Content-Length: 0x3\r\n\r\none",
        "Content-Length: -1\r\n\r\none",
        "Content-Length : 3\r\n\r\none",
        "Content-Length: 99999999999999999999\r\n\r\none",
        "X: a\r\n b\r\nContent-Length: 3\r\n\r\none",
        "X: a\0b\r\nContent-Length: 3\r\n\r\none",
        "Bad Name: x\r\nContent-Length: 3\r\n\r\none",
        ": x\r\nContent-Length: 3\r\n\r\none",
    ];
    for fields in refused {
        for client in Http::BOTH {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}{SMUGGLED}");
            let first = then_others(&answer, client).await;
            let status = first.as_ref().map(|(status, _)| *status);
            assert_eq!(status, Some(StatusCode::BAD_GATEWAY), "{fields:?}: {first:?}");
        }
    }
}

#[tokio::test]
async fn a_coding_that_is_not_chunked_ends_with_the_connection_or_is_refused() {
    let codings =
        ["xchunked", "chunked, identity", "identity", "chunked, chunked", "\u{b}chunked", "gzip"];
    for coding in codings {
        for client in Http::BOTH {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nContent-Length: 3\r\n\r\none{SMUGGLED}"
            );
            let world = World::new(Rules::default()).await;
            script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
                let answer = answer.clone();
                async move {
                    head(&mut stream).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    _ = stream.shutdown().await;
                }
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("GET", "/").body(empty()).unwrap();
            let answer = soon(sender.send(request)).await.unwrap();
            if answer.status() == StatusCode::BAD_GATEWAY {
                assert_eq!(answer.headers()[FAILED], "upstream-protocol");
            } else {
                // RFC 9112, section 6.3: such a body lasts until the connection closes, so that the
                // second answer is part of it; no length may say otherwise.
                assert!(!answer.headers().contains_key("content-length"), "{coding}");
                let body = whole(answer).await;
                assert!(body.body().ends_with(b"EVIL"), "{coding}: {body:?}");
            }
        }
    }
}

#[tokio::test]
async fn bodies_where_none_may_be_are_nobodys_answer() {
    for status in ["204 No Content", "304 Not Modified"] {
        for client in Http::BOTH {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\none{SMUGGLED}");
            let first = then_others(&answer, client).await;
            assert!(first.is_none_or(|(_, body)| body.is_empty()), "{status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_whole() {
    let broken = [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhal",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalfX0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y",
    ];
    for fields in broken {
        for client in Http::BOTH {
            let world = World::new(Rules::default()).await;
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}");
            script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
                let answer = answer.clone();
                async move {
                    head(&mut stream).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    _ = stream.shutdown().await;
                }
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let request = sender.request("GET", "/").body(empty()).unwrap();
            if let Ok(answer) = soon(sender.send(request)).await {
                let body = soon(answer.into_body().collect()).await;
                assert!(body.is_err(), "{client:?} {fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_passed_over_in_bounded_memory() {
    for client in Http::BOTH {
        let world = World::new(Rules::default()).await;
        script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
            let many = head(&mut stream).await.contains("/many");
            let hint =
                "HTTP/1.1 102 Processing\r\nX-Filler: 0123456789012345678901234567890\r\n\r\n";
            for _ in 0..if many { 1000 } else { 1 } {
                if stream.write_all(hint.repeat(100).as_bytes()).await.is_err() {
                    return;
                }
            }
            let end = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
            _ = stream.write_all(end).await;
            _ = stream.shutdown().await;
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        assert_eq!(soon(sender.get("/some")).await.body(), "ok");
        let before = resident();
        let answer = soon(sender.get("/many")).await;
        assert!(answer.body() == "ok" || answer.status() == StatusCode::BAD_GATEWAY);
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    }
}

#[tokio::test]
async fn an_answer_before_the_request_is_not_the_answer() {
    for client in Http::BOTH {
        let world = World::new(Rules::default()).await;
        script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
            stream.write_all(SMUGGLED.as_bytes()).await.unwrap();
            rest(&mut stream).await;
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        let answer = soon(sender.get("/one")).await;
        // Nothing tells an answer that came early from one that came quickly; but it is the only one
        // that this connection may give.
        if answer.status() == StatusCode::OK {
            assert_eq!(answer.body(), "EVIL");
        } else {
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        }
    }
}

#[tokio::test]
async fn a_head_without_end_is_a_502() {
    let floods =
        ["X-Filler: 0123456789012345678901234567890123456789\r\n".to_owned(), "a".repeat(1000)];
    for flood in floods {
        for client in Http::BOTH {
            let world = World::new(Rules::default()).await;
            let flood = flood.clone();
            script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
                let flood = flood.repeat(100);
                async move {
                    head(&mut stream).await;
                    stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
                    while stream.write_all(flood.as_bytes()).await.is_ok() {}
                }
            })
            .await;
            let mut sender = world.client("a.test", client).await;
            let answer = soon(sender.get("/")).await;
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
            assert_eq!(answer.headers()[FAILED], "upstream-protocol");
        }
    }
}

#[tokio::test]
async fn single_bytes_both_ways_make_a_whole_exchange() {
    let world = World::new(Rules::default()).await;
    script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
        assert!(head(&mut stream).await.starts_with("POST /slow HTTP/1.1\r\n"));
        let mut body = [0; 3];
        stream.read_exact(&mut body).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for byte in answer {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        rest(&mut stream).await;
    })
    .await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    let request = b"POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\
                    Connection: close\r\n\r\nxyz";
    for byte in request {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let answer = soon(rest(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("abc"), "{answer}");
}

#[tokio::test]
async fn an_answer_during_the_upload_is_not_mixed_with_the_next() {
    for client in Http::BOTH {
        let world = World::new(Rules::default()).await;
        script(&world.origins, &world.net, "a.test", &["http/1.1"], |mut stream| async move {
            let request = head(&mut stream).await;
            let early = "HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno";
            let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
            let answer = if request.starts_with("POST") { early } else { good };
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Hangs up without reading the rest of the upload.
            _ = stream.shutdown().await;
        })
        .await;
        let mut sender = world.client("a.test", client).await;
        let request = sender.request("POST", "/").body(full(vec![b'x'; 4_000_000])).unwrap();
        if let Ok(answer) = soon(sender.send(request)).await {
            let expected = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_GATEWAY];
            assert!(expected.contains(&answer.status()), "{answer:?}");
        }
        let mut sender = world.client("a.test", client).await;
        assert_eq!(soon(sender.get("/next")).await.body(), "good");
    }
}
