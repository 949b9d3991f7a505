//! Tries to hide one request in another, on the way from HTTP/2 to HTTP/1.1 and back.

use std::sync::{Arc, Mutex};

use moat_proxy::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::grants::*;
use crate::raw_http2::{End, Raw};
use crate::support::client::Http;
use crate::support::origin::script;
use crate::support::{World, soon};

type Heard = Arc<Mutex<Vec<u8>>>;

/// Serves a vendor of HTTP/1.1 that notes every byte and answers each head.
async fn hears(world: &World) -> Heard {
    let heard = Heard::default();
    let notes = Arc::clone(&heard);
    script(&world.origins, &world.net, VENDOR, &["http/1.1"], move |mut stream| {
        let notes = Arc::clone(&notes);
        async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                notes.lock().unwrap().extend_from_slice(&buffer[..count]);
                if buffer[..count].windows(4).any(|window| window == b"\r\n\r\n") {
                    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    _ = stream.write_all(ok).await;
                }
            }
        }
    })
    .await;
    heard
}

const HOST: (&str, &str) = (":authority", VENDOR);

fn get() -> Vec<(&'static str, &'static str)> {
    vec![(":method", "GET"), (":scheme", "https"), HOST, (":path", "/")]
}

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut fields = get();
    fields.push((name, value));
    fields
}

fn instead(
    at: usize,
    name: &'static str,
    value: &'static str,
) -> Vec<(&'static str, &'static str)> {
    let mut fields = get();
    fields[at] = (name, value);
    fields
}

#[tokio::test]
async fn a_head_of_http_2_that_is_none_of_http_1_goes_nowhere() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Strict)).await;
    let heard = hears(&world).await;
    let mut cases = vec![
        with("x-a", "b\r\nGET /smuggled HTTP/1.1"),
        with("x-a", "b\nx-smuggled: 1"),
        with("x-a", "b\rx-smuggled: 1"),
        with("x-a", "b\0smuggled"),
        with("x-smuggled\r\nx-b", "c"),
        with("x-smuggled: 1\r\nx-b", "c"),
        with("X-Smuggled", "upper"),
        with("x smuggled", "c"),
        with("", "smuggled"),
        with("connection", "smuggled"),
        with("connection", "authorization"),
        with("keep-alive", "smuggled"),
        with("proxy-connection", "smuggled"),
        with("upgrade", "smuggled"),
        with("transfer-encoding", "chunked"),
        with("te", "smuggled"),
        with(":smuggled", "1"),
        with(":path", "/smuggled"),
        with(":status", "200"),
        instead(0, ":method", "GET /smuggled HTTP/1.1\r\nx: "),
        instead(0, ":method", "G ET"),
        instead(0, ":method", ""),
        instead(1, ":scheme", "http"),
        instead(1, ":scheme", "https://smuggled"),
        instead(2, ":authority", "smuggled.test"),
        instead(2, ":authority", "smuggled@api.vendor.test"),
        instead(2, ":authority", "api.vendor.test\r\nx-smuggled: 1"),
        instead(2, ":authority", "api.vendor.test/smuggled"),
        instead(2, "x-no-authority", "smuggled"),
        instead(3, ":path", "/ HTTP/1.1\r\nx-smuggled: 1"),
        instead(3, ":path", "/x smuggled"),
        instead(3, ":path", "smuggled"),
        instead(3, ":path", "https://smuggled.test/"),
        instead(3, ":path", ""),
        instead(3, "x-no-path", "smuggled"),
    ];
    // A pseudo-header behind a field.
    let mut late = get();
    late.swap(0, 3);
    late.insert(0, ("x-smuggled", "1"));
    cases.push(late);
    for fields in &cases {
        let mut raw = Raw::open(&world, VENDOR).await;
        raw.head(1, fields, true).await;
        let end = raw.end(1).await;
        let bytes = heard.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text, "", "{fields:?} {end:?}");
    }
    // The same connection and host work for a request that is one.
    let mut raw = Raw::open(&world, VENDOR).await;
    raw.head(1, &get(), true).await;
    assert_eq!(raw.end(1).await, End::Answered);
    assert!(heard.lock().unwrap().starts_with(b"GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_length_that_is_not_that_of_the_data_ends_the_stream() {
    let (grants, _) = bearer();
    type Case = (&'static [&'static str], &'static str);
    let cases: [Case; 6] = [
        (&["3"], "abcGET /smuggled HTTP/1.1\r\n\r\n"),
        (&["30"], "abc"),
        (&["3", "4"], "abcd"),
        (&["+3"], "abc"),
        (&["3, 3"], "abc"),
        (&["0"], "GET /smuggled HTTP/1.1\r\n\r\n"),
    ];
    for (lengths, data) in cases {
        let world = world(&grants, policy(Mode::Strict)).await;
        let heard = hears(&world).await;
        let mut fields = instead(0, ":method", "POST");
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        let mut raw = Raw::open(&world, VENDOR).await;
        raw.head(1, &fields, false).await;
        raw.data(1, data.as_bytes(), true).await;
        raw.end(1).await;
        let bytes = heard.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&bytes);
        // Never a second request, and never a first one that is complete with other data.
        assert!(!text.contains("GET /smuggled"), "{lengths:?}: {text}");
        assert!(text.matches("HTTP/1.1").count() <= 1, "{lengths:?}: {text}");
        assert!(!text.contains("\r\n\r\nabcd"), "{lengths:?}: {text}");
    }
}

#[tokio::test]
async fn data_without_a_length_is_framed_anew() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Strict)).await;
    let heard = hears(&world).await;
    let mut raw = Raw::open(&world, VENDOR).await;
    raw.head(1, &instead(0, ":method", "POST"), false).await;
    raw.data(1, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", true).await;
    assert_eq!(raw.end(1).await, End::Answered);
    let text = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
    // One chunk of 31 bytes, in which the rest is text.
    assert!(body.starts_with("1F\r\n0\r\n\r\nGET /smuggled"), "{body}");
}

/// What a host says beyond its answer is no answer to the next request.
#[tokio::test]
async fn a_second_answer_is_nobodys() {
    let (grants, _) = bearer();
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Strict)).await;
        script(&world.origins, &world.net, VENDOR, &["http/1.1"], |mut stream| async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = |body: &str| {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                };
                let all = [answer(&path), answer("smuggled")].concat();
                _ = stream.write_all(all.as_bytes()).await;
            }
        })
        .await;
        let mut client = world.client(VENDOR, version).await;
        for path in ["/1", "/2", "/3", "/4"] {
            let answer = soon(client.get(path)).await;
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            assert!(body == path || answer.status() == 502, "{path}: {body}");
        }
    }
}
