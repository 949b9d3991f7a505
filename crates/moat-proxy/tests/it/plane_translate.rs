//! From HTTP/2 to HTTP/1.1: nothing that HTTP/2 can say becomes a second request.

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::support::frames::*;
use crate::support::origin::{Origin, text};
use crate::support::{Rules, World, soon};

/// Sends a request as bytes and returns the frames that came of it, and how many requests the host
/// saw; it speaks HTTP/1.1.
async fn sent(head: Vec<u8>, bodies: &[&[u8]]) -> (Vec<Frame>, usize) {
    let world = World::new(Rules::default()).await;
    let origin =
        Origin::tls(&world.origins, &world.net, "a.test", &["http/1.1"], |request| async {
            let (head, body) = request.into_parts();
            let fields: Vec<_> = head.headers.keys().map(|name| name.as_str().to_owned()).collect();
            match body.collect().await {
                Ok(body) => text(format!("<{} {fields:?} {:?}>", head.uri, body.to_bytes())),
                Err(_) => text("<broken>"),
            }
        })
        .await;
    let mut stream = world.tls("a.test", &["h2"]).await;
    begin(&mut stream).await;
    let flags = if bodies.is_empty() { END_HEADERS | END_STREAM } else { END_HEADERS };
    stream.write_all(&frame(HEADERS, flags, 1, &head)).await.unwrap();
    for (number, body) in bodies.iter().enumerate() {
        let last = if number + 1 == bodies.len() { END_STREAM } else { 0 };
        stream.write_all(&frame(DATA, last, 1, body)).await.unwrap();
    }
    // The answer to this ends the wait when there is no answer to the request.
    let ping = frame(PING, 0, 0, b"the last");
    stream.write_all(&ping).await.unwrap();
    let (mut frames, mut over, mut ponged) = (Vec::new(), false, false);
    while let Some(frame) = soon(next(&mut stream)).await {
        over |= frame.kind == GOAWAY
            || frame.kind == RST_STREAM
            || frame.flags & END_STREAM != 0 && frame.stream == 1;
        ponged |= frame.kind == PING && frame.flags & ACK != 0;
        let ended = frame.kind == GOAWAY;
        frames.push(frame);
        if over && ponged || ended {
            break;
        }
    }
    (frames, origin.requests())
}

fn body(frames: &[Frame]) -> String {
    let data = frames.iter().filter(|frame| frame.kind == DATA);
    data.map(|frame| String::from_utf8_lossy(&frame.payload).into_owned()).collect()
}

#[tokio::test]
async fn a_plain_request_arrives() {
    let (frames, requests) = sent(request("/p", &[("x-a", "1")]), &[b"ab", b"c"]).await;
    assert!(body(&frames).starts_with("</p ["), "{frames:?}");
    assert!(body(&frames).ends_with("b\"abc\">"), "{frames:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn fields_that_would_break_lines_or_frames_never_reach_the_host() {
    let fields = [
        ("x-a", "b\r\nx-c: d"),
        ("x-a", "b\r\n\r\nGET /evil HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        ("x-a", "b\nc"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-c", "d"),
        ("x-a: b\r\nx-c", "d"),
        ("x a", "b"),
        ("x:a", "b"),
        ("X-A", "b"),
        ("", "b"),
        ("connection", "x-a"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        (":path", "/second"),
        (":status", "200"),
        (":unknown", "x"),
        ("content-length", "x"),
        ("content-length", "-1"),
    ];
    for field in fields {
        let (frames, requests) = sent(request("/p", &[field]), &[b"abc"]).await;
        assert_eq!(requests, 0, "{field:?}: {frames:?}");
    }
}

#[tokio::test]
async fn a_path_holds_no_second_line() {
    for path in
        ["/ HTTP/1.1\r\nhost: b.test\r\n\r\nGET /evil", "/a b", "/a\r\nb", "/a\0", "no-slash", ""]
    {
        let (frames, requests) = sent(request(path, &[]), &[]).await;
        assert_eq!(requests, 0, "{path:?}: {frames:?}");
    }
}

#[tokio::test]
async fn a_body_of_another_length_is_never_whole() {
    for (length, parts) in [
        ("3", &[b"abcdef".as_slice()][..]),
        ("9", &[b"abc"]),
        ("0", &[b"abc"]),
        ("3", &[b"abc", b"d"]),
    ] {
        let (frames, _) = sent(request("/p", &[("content-length", length)]), parts).await;
        assert!(!body(&frames).contains("abc"), "{length}: {frames:?}");
    }
    let two = [("content-length", "3"), ("content-length", "6")];
    let (frames, _) = sent(request("/p", &two), &[b"abcdef"]).await;
    assert!(!body(&frames).contains("abc"), "{frames:?}");
}
