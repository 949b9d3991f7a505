//! Length-prefixed messages.

use std::io::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use moat_provider_testkit::Canary;
use moat_proxy::Reason;
use moat_proxy::scrub::{BodyScrub, Scrubber};
use proptest::prelude::*;

use crate::scrub_support::{chunks, concat, lies_in, scrubber};

fn head(content_type: &'static str, coding: Option<(&'static str, &'static str)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    if let Some((name, coding)) = coding {
        headers.insert(name, HeaderValue::from_static(coding));
    }
    headers
}

fn grpc(scrubber: &Scrubber, coding: Option<&'static str>) -> BodyScrub {
    let coding = coding.map(|coding| ("grpc-encoding", coding));
    scrubber.body(StatusCode::OK, &head("application/grpc+proto", coding))
}

fn message(flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[flags][..], &len, payload].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn run(scrub: &mut BodyScrub, pieces: Vec<Bytes>) -> (Vec<u8>, Option<Reason>) {
    let mut out = Vec::new();
    for piece in pieces {
        match scrub.push(piece) {
            Ok(output) => out.extend(concat(output)),
            Err(cut) => {
                assert!(scrub.push("more".into()).is_err());
                assert!(scrub.finish().is_empty());
                return (out, Some(cut.reason()));
            }
        }
    }
    out.extend(concat(scrub.finish()));
    (out, None)
}

#[test]
fn messages_are_masked_wherever_they_are_cut() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let field = format!("\x0a\x42{}", canary.text());
    let body =
        [message(0, b"\x08\x01"), message(0, field.as_bytes()), message(0, b""), message(0, b"x")]
            .concat();
    let masked = format!("\x0a\x42k-{}", "*".repeat(64));
    let expected =
        [message(0, b"\x08\x01"), message(0, masked.as_bytes()), message(0, b""), message(0, b"x")]
            .concat();
    for at in 0..=body.len() {
        let mut scrub = grpc(&scrubber, Some("identity"));
        assert_eq!(run(&mut scrub, chunks(&body, &[at])), (expected.clone(), None), "{at}");
        assert_eq!(scrub.found().hits()[0].count(), 1);
    }
    let bytes = (0..body.len()).collect::<Vec<_>>();
    assert_eq!(run(&mut grpc(&scrubber, None), chunks(&body, &bytes)), (expected, None));
}

#[test]
fn nothing_is_held_at_the_end_of_a_message() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let mut scrub = grpc(&scrubber, None);
    let first = Bytes::from(message(0, &canary.text().as_bytes()[..6]));
    let output = scrub.push(first.clone()).unwrap();
    assert_eq!(concat(output), first);
    assert_eq!(scrub.held_len(), 0);
}

#[test]
fn clean_messages_are_not_copied() {
    let canary = Canary::with_length("", 64);
    let body =
        Bytes::from([message(0, b"one"), message(1, &gzip(b"two")), message(0, b"3")].concat());
    let output = grpc(&scrubber(canary.text(), 0), Some("gzip")).push(body.clone()).unwrap();
    assert!(lies_in(&output, &body));
    assert_eq!(output.iter().count(), 1);
    assert_eq!(concat(output), body);
}

#[test]
fn a_secret_in_a_compressed_message_cuts_the_body() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let clean = [message(0, b"one"), message(1, &gzip(b"two"))].concat();
    let text = format!("\x0a\x42{}", canary.text());
    let body = [clean.clone(), message(1, &gzip(text.as_bytes())), message(0, b"four")].concat();
    for at in 0..=body.len() {
        let mut scrub = grpc(&scrubber, Some("gzip"));
        let (out, cut) = run(&mut scrub, chunks(&body, &[at]));
        assert_eq!(cut, Some(Reason::SecretInCompressedAnswer), "{at}");
        assert!(body.starts_with(&out));
        assert!(canary.find_in(&decoded(&out[clean.len().min(out.len())..])).is_none(), "{at}");
        assert_eq!(scrub.found().hits()[0].count(), 1);
    }
}

fn decoded(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let coded = message.get(5..).unwrap_or_default();
    let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(coded), &mut text);
    text
}

#[test]
fn each_compressed_message_begins_anew() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let body = message(1, &gzip(b"text")).repeat(3);
    assert_eq!(run(&mut grpc(&scrubber, Some("gzip")), chunks(&body, &[7, 30])), (body, None));
}

#[test]
fn a_message_in_an_unknown_coding_is_named() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let body = message(1, b"\x04snappy");
    let mut scrub = grpc(&scrubber, Some("snappy"));
    assert_eq!(run(&mut scrub, chunks(&body, &[])), (body, None));
    assert_eq!(scrub.found().unscanned(), ["snappy".into()]);
}

#[test]
fn relatives_of_grpc_are_taken_for_it() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let body = Bytes::from(message(1, &gzip(canary.text().as_bytes())));
    for (content_type, coding, cut) in [
        ("application/grpc", "grpc-encoding", true),
        ("application/grpc-web+proto", "grpc-encoding", true),
        ("Application/gRPC; charset=x", "grpc-encoding", true),
        ("application/connect+json", "connect-content-encoding", true),
        ("application/grpcurl", "grpc-encoding", false),
        ("application/json", "grpc-encoding", false),
    ] {
        let head = head(content_type, Some((coding, "gzip")));
        let result = scrubber.body(StatusCode::OK, &head).push(body.clone());
        assert_eq!(result.is_err(), cut, "{content_type}");
    }
}

/// Bytes that only claim to be gRPC hide nothing.
#[test]
fn a_body_that_is_not_what_it_claims_is_scanned() {
    let canary = Canary::with_length("", 64);
    let text = format!("{{\"token\":\"{}\"}}", canary.text());
    for at in 0..text.len() {
        let (out, cut) =
            run(&mut grpc(&scrubber(canary.text(), 0), None), chunks(text.as_bytes(), &[at]));
        assert_eq!(cut, None);
        assert!(canary.find_in(&out).is_none());
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..300),
        borders in prop::collection::vec(any::<usize>(), 0..5),
        coding in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "identity", "x"]),
    ) {
        let mut scrub = grpc(&scrubber("a secret that does not occur", 0), Some(coding));
        let (out, cut) = run(&mut scrub, chunks(&bytes, &borders));
        prop_assert!(bytes.starts_with(&out));
        prop_assert_eq!(cut.is_none(), out == bytes);
    }
}
