//! Tries to hide one request in another, on the way from HTTP/2 to HTTP/1.1 and back.

use std::sync::{Arc, Mutex};

use moat_proxy::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::Http;
use crate::support::grants::*;
use crate::support::h2::{End, Raw};
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

const HOST: (&[u8], &[u8]) = (b":authority", VENDOR.as_bytes());

fn get() -> Vec<(&'static [u8], &'static [u8])> {
    vec![(b":method", b"GET"), (b":scheme", b"https"), HOST, (b":path", b"/")]
}

fn with(name: &'static [u8], value: &'static [u8]) -> Vec<(&'static [u8], &'static [u8])> {
    let mut fields = get();
    fields.push((name, value));
    fields
}

fn instead(
    at: usize,
    name: &'static [u8],
    value: &'static [u8],
) -> Vec<(&'static [u8], &'static [u8])> {
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
        with(b"x-a", b"b\r\nGET /smuggled HTTP/1.1"),
        with(b"x-a", b"b\nx-smuggled: 1"),
        with(b"x-a", b"b\rx-smuggled: 1"),
        with(b"x-a", b"b\0smuggled"),
        with(b"x-smuggled\r\nx-b", b"c"),
        with(b"x-smuggled: 1\r\nx-b", b"c"),
        with(b"X-Smuggled", b"upper"),
        with(b"x smuggled", b"c"),
        with(b"", b"smuggled"),
        with(b"connection", b"smuggled"),
        with(b"connection", b"authorization"),
        with(b"keep-alive", b"smuggled"),
        with(b"proxy-connection", b"smuggled"),
        with(b"upgrade", b"smuggled"),
        with(b"transfer-encoding", b"chunked"),
        with(b"te", b"smuggled"),
        with(b":smuggled", b"1"),
        with(b":path", b"/smuggled"),
        with(b":status", b"200"),
        instead(0, b":method", b"GET /smuggled HTTP/1.1\r\nx: "),
        instead(0, b":method", b"G ET"),
        instead(0, b":method", b""),
        instead(1, b":scheme", b"http"),
        instead(1, b":scheme", b"https://smuggled"),
        instead(2, b":authority", b"smuggled.test"),
        instead(2, b":authority", b"smuggled@api.vendor.test"),
        instead(2, b":authority", b"api.vendor.test\r\nx-smuggled: 1"),
        instead(2, b":authority", b"api.vendor.test/smuggled"),
        instead(2, b"x-no-authority", b"smuggled"),
        instead(3, b":path", b"/ HTTP/1.1\r\nx-smuggled: 1"),
        instead(3, b":path", b"/x smuggled"),
        instead(3, b":path", b"smuggled"),
        instead(3, b":path", b"https://smuggled.test/"),
        instead(3, b":path", b""),
        instead(3, b"x-no-path", b"smuggled"),
    ];
    // A pseudo-header behind a field.
    let mut late = get();
    late.swap(0, 3);
    late.insert(0, (b"x-smuggled", b"1"));
    cases.push(late);
    for fields in &cases {
        let mut raw = Raw::open(&world, VENDOR).await;
        raw.head(1, fields, true).await;
        let end = raw.end(1).await;
        let bytes = heard.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&bytes);
        let shown: Vec<_> = fields
            .iter()
            .map(|(name, value)| [name, value].map(|it| String::from_utf8_lossy(it).into_owned()))
            .collect();
        assert_eq!(text, "", "{shown:?} {end:?}");
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
    type Case = (&'static [&'static [u8]], &'static [u8]);
    let cases: [Case; 6] = [
        (&[b"3"], b"abcGET /smuggled HTTP/1.1\r\n\r\n"),
        (&[b"30"], b"abc"),
        (&[b"3", b"4"], b"abcd"),
        (&[b"+3"], b"abc"),
        (&[b"3, 3"], b"abc"),
        (&[b"0"], b"GET /smuggled HTTP/1.1\r\n\r\n"),
    ];
    for (lengths, data) in cases {
        let world = world(&grants, policy(Mode::Strict)).await;
        let heard = hears(&world).await;
        let mut fields = instead(0, b":method", b"POST");
        fields.extend(lengths.iter().map(|length| (&b"content-length"[..], *length)));
        let mut raw = Raw::open(&world, VENDOR).await;
        raw.head(1, &fields, false).await;
        raw.data(1, data, true).await;
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
    raw.head(1, &instead(0, b":method", b"POST"), false).await;
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
