//! Tries to get a secret back from the host that it was sent to.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use moat_provider_testkit::Canary;
use moat_proxy::{Mode, RunRules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::engine_support::shape;
use crate::grants::*;
use crate::support::client::{Http, empty, head, rest};
use crate::support::origin::{Origin, script, text};
use crate::support::{RealClock, Rules, World, soon};

/// Serves a vendor that reads a head and then writes these bytes, piece by piece.
async fn says(world: &World, pieces: Vec<Vec<u8>>) {
    script(&world.origins, &world.net, VENDOR, &["http/1.1"], move |mut stream| {
        let pieces = pieces.clone();
        async move {
            head(&mut stream).await;
            for piece in pieces {
                stream.write_all(&piece).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            _ = stream.shutdown().await;
        }
    })
    .await;
}

/// Returns everything that a client can see of an answer: head, body and trailers, or as much of it
/// as came.
async fn seen(world: &World, version: Http, headers: &[(&str, &str)]) -> Vec<u8> {
    if version == Http::One {
        // The bytes themselves, with reason phrase and chunk extensions.
        let fields: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {VENDOR}\r\nTE: trailers\r\n{fields}Connection: close\r\n\r\n"
        );
        let mut stream = world.tls(VENDOR, &["http/1.1"]).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        _ = soon(stream.read_to_end(&mut all)).await;
        return all;
    }
    let mut client = world.client(VENDOR, version).await;
    let mut request = client.request("GET", "/").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(answer) = soon(client.send(request.body(empty()).unwrap())).await else {
        return Vec::new();
    };
    let mut all = format!("{:?} {:?}", answer.status(), answer.headers()).into_bytes();
    let mut body = answer.into_body();
    while let Some(Ok(frame)) = soon(body.frame()).await {
        match frame.into_data() {
            Ok(data) => all.extend_from_slice(&data),
            Err(frame) => all.extend(format!("{:?}", frame.into_trailers()).into_bytes()),
        }
    }
    all
}

fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut all =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n").into_bytes();
    all.extend_from_slice(body);
    all
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn no_part_of_an_answer_shows_the_secret() {
    let (grants, grant) = bearer();
    let token = grant.canary.text();
    let basic = STANDARD.encode(format!("x-access-token:{token}"));
    let url_safe = URL_SAFE_NO_PAD.encode(format!("a{token}"));
    let chunked = |body: &str, rest: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n{length:x}{rest}\r\n{body}\r\n0\r\n"
        )
    };
    let bodies = [
        answer("200 OK", "", format!("you sent Bearer {token}.").as_bytes()),
        answer("401 Unauthorized", "", format!(r#"{{"bad":"{token}"}}"#).as_bytes()),
        answer("500 Oops", "Content-Type: text/html\r\n", format!("<pre>{token}</pre>").as_bytes()),
        answer("200 OK", "Content-Type: image/png\r\n", format!("\0{token}\0").as_bytes()),
        answer("200 OK", &format!("X-Echo: Bearer {token}\r\n"), b""),
        answer("302 Found", &format!("Location: https://evil.test/?t={token}\r\n"), b""),
        answer("200 OK", &format!("Set-Cookie: t={token}; Path=/\r\n"), b""),
        answer("401 No", &format!("WWW-Authenticate: Bearer error=\"{token}\"\r\n"), b""),
        answer("200 OK", &format!("ETag: \"{}\"\r\n", hex(token)), b""),
        answer("200 OK", &format!("Link: <https://x/?t={}>\r\n", percent(token)), b""),
        answer("200 OK", "", format!("Authorization: Basic {basic}").as_bytes()),
        answer("200 OK", "", url_safe.as_bytes()),
        answer("200 OK", "", percent(token).as_bytes()),
        answer(&format!("200 {token}"), "", b""),
        format!("{}X-T: {token}\r\n\r\n", chunked("x", "")).into_bytes(),
        format!("{}\r\n", chunked("x", &format!(";ext={token}"))).into_bytes(),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{token}").into_bytes(),
    ];
    for version in Http::BOTH {
        for body in &bodies {
            let world = world(&grants, policy(Mode::Strict)).await;
            says(&world, vec![body.clone()]).await;
            let got = seen(&world, version, &[]).await;
            assert!(got.len() > 20, "there is an answer: {:?}", String::from_utf8_lossy(body));
            found_nothing(&grant.canary, &got, body);
        }
    }
}

#[track_caller]
fn found_nothing(canary: &Canary, got: &[u8], sent: &[u8]) {
    if let Some(encoding) = canary.find_in(got) {
        let text = String::from_utf8_lossy;
        panic!("{encoding}: {:?} of {:?}", text(got), text(sent));
    }
}

#[tokio::test]
async fn pieces_do_not_hide_the_secret_and_events_flow() {
    let (grants, grant) = bearer();
    let token = grant.canary.text();
    for version in Http::BOTH {
        for cut in [1, 7, token.len() / 2, token.len() - 1] {
            let world = world(&grants, policy(Mode::Strict)).await;
            let (first, second) = token.split_at(cut);
            says(
                &world,
                vec![
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
                        .to_vec(),
                    format!("data: {first}").into_bytes(),
                    format!("{second}\n\n").into_bytes(),
                    b"data: end\n\n".to_vec(),
                ],
            )
            .await;
            let got = seen(&world, version, &[]).await;
            let text = String::from_utf8_lossy(&got).into_owned();
            assert!(text.contains("data: 1") && text.contains("data: end"), "{text}");
            found_nothing(&grant.canary, &got, &[]);
        }
    }
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let level = flate2::Compression::new(6);
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "br" => {
            let mut coded = Vec::new();
            brotli::CompressorReader::new(body, 4096, 5, 20).read_to_end(&mut coded).unwrap();
            coded
        }
        _ => {
            let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
            zstd_safe::compress(&mut coded, body, 3).unwrap();
            coded
        }
    }
}

fn decoded(coding: &str, coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    _ = match coding {
        "gzip" => flate2::read::GzDecoder::new(coded).read_to_end(&mut body),
        "br" => brotli::Decompressor::new(coded, 4096).read_to_end(&mut body),
        _ => {
            body = vec![0; 1 << 16];
            let mut target = zstd_safe::OutBuffer::around(&mut body[..]);
            let mut source = zstd_safe::InBuffer::around(coded);
            _ = zstd_safe::DCtx::create().decompress_stream(&mut target, &mut source);
            let len = target.pos();
            body.truncate(len);
            Ok(len)
        }
    };
    body
}

#[tokio::test]
async fn compression_does_not_hide_the_secret() {
    let (grants, grant) = bearer();
    for coding in ["gzip", "br", "zstd"] {
        for version in Http::BOTH {
            let mut world = world(&grants, policy(Mode::Strict)).await;
            let filler = "a clean line\n".repeat(200);
            let body = coded(coding, format!("{filler}{}{filler}", grant.canary.text()).as_bytes());
            let fields = format!("Content-Encoding: {coding}\r\n");
            says(&world, vec![answer("200 OK", &fields, &body)]).await;
            let got = seen(&world, version, &[("accept-encoding", coding)]).await;
            let at = match version {
                Http::One => got.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4),
                Http::Two => got.iter().position(|byte| *byte == b'}').map(|at| at + 1),
            };
            let shown = at.map_or_else(Vec::new, |at| decoded(coding, &got[at..]));
            found_nothing(&grant.canary, &shown, b"");
            found_nothing(&grant.canary, &got, b"");
            let record = world.record(|record| record.status.is_some()).await;
            assert!(record.reason.is_some(), "{coding}: the cut has a reason");
        }
    }
}

#[tokio::test]
async fn no_coding_is_asked_for_that_could_not_be_looked_into() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    for version in Http::BOTH {
        let asked = [("accept-encoding", "dcb, compress;q=0.5, gzip, x-mine, br")];
        send(&world, VENDOR, version, "GET /", &asked).await;
        let sent = vendor.last().all("accept-encoding").join(",");
        assert!(sent.contains("gzip") && sent.contains("br"), "{sent}");
        for odd in ["dcb", "compress", "x-mine"] {
            assert!(!sent.contains(odd), "{sent}");
        }
        let ranged = [("accept-encoding", "gzip"), ("range", "bytes=0-9")];
        send(&world, VENDOR, version, "GET /", &ranged).await;
        assert_eq!(vendor.last().all("accept-encoding"), ["identity"]);
    }
}

/// Elsewhere a masked echo would tell the container that its guess was right.
#[tokio::test]
async fn where_no_secret_is_sent_none_is_looked_for() {
    let mut grants = Grants::new();
    let (own, other) = (grant(&mut grants, "vendor"), grant(&mut grants, "other"));
    grants.bearer(&own, crate::engine_support::host(VENDOR));
    grants.bearer(&other, crate::engine_support::host("other.test"));
    for version in Http::BOTH {
        let world = world(&grants, policy(Mode::Strict)).await;
        says(&world, vec![answer("200 OK", "", other.canary.text().as_bytes())]).await;
        let got = seen(&world, version, &[]).await;
        assert!(other.canary.find_in(&got).is_some());
    }
}

#[tokio::test]
async fn a_websocket_does_not_show_the_secret() {
    let (grants, grant) = bearer();
    let world = world(&grants, policy(Mode::Strict)).await;
    let token = grant.canary.text().to_owned();
    script(&world.origins, &world.net, VENDOR, &["http/1.1"], move |mut stream| {
        let token = token.clone();
        async move {
            let request = head(&mut stream).await;
            assert!(request.contains(&token), "the handshake is filled as any request");
            let accept = crate::plane_upgrade::accept(&request);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nX-Echo: {token}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            for text in [format!("it is {token}"), "bye".to_owned()] {
                let mut frame = vec![0x81, u8::try_from(text.len()).unwrap()];
                frame.extend_from_slice(text.as_bytes());
                stream.write_all(&frame).await.unwrap();
            }
            _ = stream.shutdown().await;
        }
    })
    .await;
    let mut stream = world.tls(VENDOR, &["http/1.1"]).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         {AUTHORIZATION}: Bearer {}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n",
        grant.placeholder
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let got = soon(rest(&mut stream)).await;
    assert!(got.starts_with("HTTP/1.1 101") && got.contains("it is ") && got.ends_with("bye"));
    found_nothing(&grant.canary, got.as_bytes(), b"");
}

#[tokio::test]
async fn a_secret_that_was_sent_before_a_rotation_is_masked_too() {
    let (mut grants, grant) = bearer();
    let world = World::new(Rules::default()).await;
    let rules = |grants: &Grants, previous: Option<&RunRules>| {
        let policy = policy(Mode::Permissive).build();
        let generation = grants.try_build(policy.mode()).unwrap();
        let context = Arc::new(grants.context());
        let builder = RunRules::builder(context, Arc::new(RealClock), policy, generation);
        let builder = match previous {
            Some(previous) => builder.succeeding(previous),
            None => builder,
        };
        Arc::new(builder.build().unwrap())
    };
    // Keeps a list of the requests that it got, and shows it.
    let list = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&list);
    Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], move |request| {
        let sent = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
        let mut list = kept.lock().unwrap();
        list.push_str(&format!("{sent}\n"));
        let answer = text(list.clone());
        async move { answer }
    })
    .await;
    let mut sent = vec![grant.canary];
    let mut last = rules(&grants, None);
    world.run.swap(last.clone());
    for version in [Http::One, Http::Two, Http::One] {
        send(&world, VENDOR, version, "GET /", &[]).await;
        let renewed = Canary::of_shape(&shape());
        sent.push(grants.grant_with("vendor", renewed).canary);
        // Once for the secret, and once more for something else.
        for _ in 0..2 {
            last = rules(&grants, Some(&last));
            world.run.swap(last.clone());
            let answer = send(&world, VENDOR, version, "GET /", &[]).await;
            for canary in &sent[sent.len() - 2..] {
                assert!(list.lock().unwrap().contains(canary.text()));
                assert_eq!(canary.find_in(answer.body()), None);
            }
        }
    }
    // Rules that follow nothing know of none.
    world.run.swap(rules(&grants, None));
    let answer = send(&world, VENDOR, Http::One, "GET /", &[]).await;
    assert!(sent[0].find_in(answer.body()).is_some());
}
