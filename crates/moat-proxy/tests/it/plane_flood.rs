//! Floods in HTTP/2, from the client and from the host: bounded, and others are served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use tokio::io::AsyncWriteExt;

use crate::support::client::Http;
use crate::support::frames::*;
use crate::support::origin::{Origin, script, text};
use crate::support::{Rules, World, resident, soon};

/// More than any of these floods may take.
const BOUND: usize = 48 * 1024 * 1024;

async fn world() -> (World, Origin) {
    let world = World::new(Rules::default()).await;
    let origin =
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |_| async { text("ok") });
    let origin = origin.await;
    (world, origin)
}

/// Sends bytes until the proxy ends the connection or there is no more, and returns whether it did,
/// and how much memory that took.
async fn flood(world: &World, pieces: impl Iterator<Item = Vec<u8>>) -> (bool, usize) {
    let mut stream = world.tls("a.test", &["h2"]).await;
    begin(&mut stream).await;
    let before = resident();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        while let Some(frame) = next(&mut reader).await {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        true
    });
    let mut ended = false;
    for piece in pieces {
        if writer.write_all(&piece).await.is_err() || reading.is_finished() {
            ended = true;
            break;
        }
    }
    let grown = resident().saturating_sub(before);
    if !ended {
        _ = writer.shutdown().await;
    }
    (soon(reading).await.unwrap() && ended, grown)
}

#[tokio::test]
async fn rapid_resets_of_a_client_end_its_connection_alone() {
    let (world, origin) = world().await;
    let mut honest = world.client("a.test", Http::Two).await;
    let head = request("/", &[]);
    let pieces = (0..20_000).map(|number| {
        let stream = 2 * number + 1;
        let mut both = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        both
    });
    let (ended, grown) = flood(&world, pieces).await;
    assert!(ended, "the flood is not let go on");
    assert!(grown < BOUND, "{grown} bytes");
    assert!(origin.requests() < 2_000, "{} requests reached the host", origin.requests());
    assert_eq!(soon(honest.get("/")).await.body(), "ok");
}

#[tokio::test]
async fn a_head_without_end_of_a_client_ends_its_connection() {
    let (world, origin) = world().await;
    let first = frame(HEADERS, END_STREAM, 1, &request("/", &[]));
    let filler = fields(&[("x-filler", "0123456789012345678901234567890123456789"); 200]);
    let pieces = std::iter::once(first)
        .chain(std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &filler)).take(20_000));
    let (ended, grown) = flood(&world, pieces).await;
    assert!(ended && grown < BOUND, "{ended} {grown} bytes");
    // Frames without a byte in them count as well.
    let first = frame(HEADERS, END_STREAM, 1, &request("/", &[]));
    let pieces = std::iter::once(first)
        .chain(std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &[])).take(200_000));
    let (_, grown) = flood(&world, pieces).await;
    assert!(grown < BOUND, "{grown} bytes");
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn pings_and_settings_of_a_client_take_no_memory() {
    let (world, _origin) = world().await;
    for piece in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])] {
        let pieces = std::iter::repeat_with(|| piece.repeat(100)).take(1_000);
        let (_, grown) = flood(&world, pieces).await;
        assert!(grown < BOUND, "{grown} bytes");
    }
    assert_eq!(soon(world.client("a.test", Http::Two).await.get("/")).await.body(), "ok");
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let world = World::new(Rules::default()).await;
    let running = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&running);
    Origin::tls(&world.origins, &world.net, "a.test", &["h2"], move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    })
    .await;
    let head = request("/", &[]);
    let pieces =
        (0..5_000).map(|number| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head));
    let (_, grown) = flood(&world, pieces).await;
    assert!(running.load(Ordering::SeqCst) <= 256, "{}", running.load(Ordering::SeqCst));
    assert!(grown < BOUND, "{grown} bytes");
}

/// Serves a host with a script after the beginning of HTTP/2.
async fn host<R>(
    world: &World,
    run: fn(tokio_rustls::server::TlsStream<tokio::net::TcpStream>) -> R,
) where
    R: Future<Output = ()> + Send + 'static,
{
    script(&world.origins, &world.net, "a.test", &["h2"], move |mut stream| async move {
        accept(&mut stream).await;
        while let Some(frame) = next(&mut stream).await {
            if frame.kind == HEADERS {
                break;
            }
        }
        run(stream).await;
    })
    .await;
}

/// Asks a host that floods; the answer is a failure that the proxy made, in bounded memory.
async fn fails(world: &World) {
    for client in Http::BOTH {
        let before = resident();
        let mut sender = world.client("a.test", client).await;
        let request = sender.request("GET", "/").body(crate::support::client::empty()).unwrap();
        if let Ok(answer) = soon(sender.send(request)).await {
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{client:?}");
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < BOUND, "{grown} bytes");
    }
}

#[tokio::test]
async fn a_host_that_resets_each_stream_is_a_502() {
    let world = World::new(Rules::default()).await;
    host(&world, |mut stream| async move {
        let refused = 7u32.to_be_bytes();
        _ = stream.write_all(&frame(RST_STREAM, 0, 1, &refused)).await;
        while let Some(next) = next(&mut stream).await {
            if next.kind == HEADERS {
                _ = stream.write_all(&frame(RST_STREAM, 0, next.stream, &refused)).await;
            }
        }
    })
    .await;
    fails(&world).await;
    assert!(world.net.dials() <= 6, "{}", world.net.dials());
}

#[tokio::test]
async fn a_head_without_end_of_a_host_is_a_502() {
    let world = World::new(Rules::default()).await;
    host(&world, |mut stream| async move {
        let head = fields(&[(":status", "200")]);
        _ = stream.write_all(&frame(HEADERS, 0, 1, &head)).await;
        let filler = fields(&[("x-filler", "0123456789012345678901234567890123456789"); 200]);
        while stream.write_all(&frame(CONTINUATION, 0, 1, &filler)).await.is_ok() {}
    })
    .await;
    fails(&world).await;
}

#[tokio::test]
async fn interim_answers_without_end_of_a_host_are_not_kept() {
    let world = World::new(Rules::default()).await;
    host(&world, |mut stream| async move {
        let hint = frame(HEADERS, END_HEADERS, 1, &fields(&[(":status", "103"), ("link", "</a>")]));
        for _ in 0..1_000 {
            if stream.write_all(&hint.repeat(50)).await.is_err() {
                return;
            }
        }
        let last = fields(&[(":status", "502")]);
        _ = stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &last)).await;
        _ = stream.shutdown().await;
    })
    .await;
    // What comes in one go is kept until the request looks at it, and no longer.
    for _ in 0..2 {
        let mut sender = world.client("a.test", Http::One).await;
        assert_eq!(soon(sender.get("/")).await.status(), StatusCode::BAD_GATEWAY);
    }
    fails(&world).await;
}

#[tokio::test]
async fn garbage_of_a_host_is_a_502() {
    for garbage in [
        frame(DATA, 0, 1, b"before the head"),
        frame(HEADERS, END_HEADERS, 1, &[0xff; 40]),
        frame(HEADERS, END_HEADERS, 1, &fields(&[("x-no", "status")])),
        frame(HEADERS, END_HEADERS, 1, &fields(&[(":status", "200"), ("x-a", "b\r\nx-c: d")])),
        frame(HEADERS, END_HEADERS, 2, &fields(&[(":status", "200")])),
        frame(GOAWAY, 0, 0, &[0; 8]),
        vec![0xff; 100],
    ] {
        let world = World::new(Rules::default()).await;
        let garbage = Arc::new(garbage);
        script(&world.origins, &world.net, "a.test", &["h2"], move |mut stream| {
            let garbage = Arc::clone(&garbage);
            async move {
                accept(&mut stream).await;
                while let Some(frame) = next(&mut stream).await {
                    if frame.kind == HEADERS {
                        _ = stream.write_all(&garbage).await;
                        _ = stream.shutdown().await;
                        return;
                    }
                }
            }
        })
        .await;
        fails(&world).await;
    }
}
