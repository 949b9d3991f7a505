//! Requests that botocore signed, and chunks that a script of a few lines did.
//!
//! `tests/data/signatures.json`: each request as botocore 1.44 signed it with the dummy keys, and
//! the signature that it makes with a session for the same request. Names, queries, paths and
//! headers were drawn at random, from letters that are hard to encode among others.
//!
//! `tests/data/chunks.json`: bodies in signed chunks, made with Python's `hmac`; the script was
//! checked on the two examples of the S3 API reference.

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use moat_provider_core::{BodySigner, Secret};
use serde_json::Value;
use time::OffsetDateTime;

use super::chunked::{ChunkSigner, Trailer};
use super::claim::{Claim, DATE};
use super::request::{Draft, Seed};
use super::{Scope, SigningKey, Stamp, pairs, sign_own};
use crate::keys::Keys;

const DUMMY: &str = "EXAMPLE-DUMMY-SECRET";

fn session() -> Keys {
    let secret = |text: &str| Secret::new(text.to_owned());
    Keys {
        id: secret("ASIDEXAMPLEEXAMPLE"),
        secret: secret("EXAMPLE/SESSION+SECRET"),
        token: Some(secret("EXAMPLE//SESSION+TOKEN==")),
    }
}

fn now() -> OffsetDateTime {
    Stamp::parse("20261128T103527Z").unwrap().1
}

fn table(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn signatures() -> Vec<Value> {
    table(include_str!("../../tests/data/signatures.json"))
}

fn request(case: &Value) -> Request<Bytes> {
    let url = case["url"].as_str().unwrap();
    let mut request = Request::builder().method(case["method"].as_str().unwrap()).uri(url);
    for header in case["headers"].as_array().unwrap() {
        let name: HeaderName = header[0].as_str().unwrap().parse().unwrap();
        request = request.header(name, HeaderValue::from_str(header[1].as_str().unwrap()).unwrap());
    }
    let body = Bytes::copy_from_slice(case["body"].as_str().unwrap().as_bytes());
    let mut request = request.body(body).unwrap();
    let host = request.uri().authority().unwrap().as_str().parse().unwrap();
    request.headers_mut().insert(HOST, host);
    request
}

fn digest(request: &Request<Bytes>, case: &Value) -> String {
    match request.headers().get("x-amz-content-sha256") {
        Some(stated) => stated.to_str().unwrap().to_owned(),
        None if case["service"] == "s3" => "UNSIGNED-PAYLOAD".to_owned(),
        None => super::sha256(request.body()),
    }
}

fn sorted(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').unwrap().1;
    let mut pairs: Vec<_> = pairs(query).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    pairs.sort();
    pairs
}

#[test]
fn botocores_signatures_are_verified_and_made() {
    let cases = signatures();
    assert!(cases.len() >= 100);
    for (at, case) in cases.iter().enumerate() {
        let request = request(case);
        let digest = digest(&request, case);
        let (mut head, _) = request.into_parts();
        let draft = Draft::new(Claim::read(&head).unwrap(), &head).unwrap();
        assert!(draft.verify("EXAMPLE-OTHER-SECRET", &digest).is_err(), "{at}: {case}");
        let (reading, _) = draft.verify(DUMMY, &digest).unwrap_or_else(|_| panic!("{at}: {case}"));
        draft.sign(&mut head, reading, &digest, &session(), now()).unwrap();
        match case["session"].as_str() {
            Some(expected) => assert_eq!(head.headers[AUTHORIZATION], expected, "{at}: {case}"),
            None => {
                let expected = case["session_url"].as_str().unwrap();
                let url = head.uri.to_string();
                assert_eq!(sorted(&url), sorted(expected), "{at}: {case}");
                assert_eq!(url.split('?').next(), expected.split('?').next());
                assert!(!head.headers.contains_key(AUTHORIZATION));
            }
        }
    }
}

#[test]
fn nothing_of_a_request_can_be_changed() {
    for case in signatures() {
        let original = request(&case);
        let digest = digest(&original, &case);
        let fails = |request: Request<Bytes>| {
            let (head, _) = request.into_parts();
            Claim::read(&head)
                .and_then(|claim| Draft::new(claim, &head))
                .and_then(|draft| draft.verify(DUMMY, &digest).map(drop))
                .is_err()
        };
        assert!(!fails(original.clone()));
        let mut other = original.clone();
        *other.method_mut() = http::Method::PATCH;
        assert!(fails(other), "the method of {case}");
        let mut other = original.clone();
        other.headers_mut().insert(HOST, HeaderValue::from_static("s3.us-west-2.amazonaws.com"));
        assert!(fails(other), "the host of {case}");
        let mut other = original.clone();
        let url = original.uri().to_string();
        let url = match url.split_once('?') {
            Some((path, query)) => format!("{path}x?{query}"),
            None => format!("{url}x"),
        };
        *other.uri_mut() = url.parse().unwrap();
        assert!(fails(other), "the path of {case}");
        let mut other = original.clone();
        let url = original.uri().to_string();
        let more = if url.contains('?') { "&" } else { "?" };
        *other.uri_mut() = format!("{url}{more}zz=1").parse().unwrap();
        assert!(fails(other), "the query of {case}");
    }
}

/// What the host signs itself is what botocore signs for the same request.
#[test]
fn own_requests_are_signed_as_botocore_does() {
    let mut compared = 0;
    for case in signatures() {
        if case["service"] == "s3" || case["session"].is_null() {
            continue;
        }
        let mut request = request(&case);
        let headers = request.headers_mut();
        for name in [HOST, AUTHORIZATION, DATE] {
            headers.remove(name);
        }
        let expected = case["session"].as_str().unwrap();
        let scope: Vec<&str> = expected.split('/').collect();
        let signed = sign_own(request, scope[2], scope[3], &session(), now()).unwrap();
        assert_eq!(signed.headers()[AUTHORIZATION], expected, "{case}");
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}

fn seed(secret: &str, signature: &str) -> Seed {
    let stamp = Stamp::of(now());
    let scope = Scope {
        day: stamp.day().to_owned(),
        region: "eu-central-1".to_owned(),
        service: "s3".to_owned(),
    };
    let key = SigningKey::derive(secret, &scope);
    Seed { key, stamp, scope, signature: signature.to_owned() }
}

fn signer(case: &Value) -> ChunkSigner {
    let trailer = if case["trailer"] == true { Trailer::Signed } else { Trailer::Absent };
    let seeds = [(DUMMY, "client_seed"), ("EXAMPLE/SESSION+SECRET", "session_seed")];
    let [client, session] = seeds.map(|(secret, name)| seed(secret, case[name].as_str().unwrap()));
    ChunkSigner::new(client, session, trailer)
}

fn push(signer: &mut ChunkSigner, body: &[u8], step: usize) -> moat_provider_core::Result<Vec<u8>> {
    let mut out = Vec::new();
    for piece in body.chunks(step) {
        out.extend_from_slice(&signer.data(Bytes::copy_from_slice(piece))?);
    }
    out.extend_from_slice(&signer.end()?);
    Ok(out)
}

#[test]
fn chunks_are_signed_anew_whatever_their_pieces() {
    for case in table(include_str!("../../tests/data/chunks.json")) {
        let body = case["client"].as_str().unwrap().as_bytes();
        for step in 1..=body.len() {
            let out = push(&mut signer(&case), body, step).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), case["session"].as_str().unwrap());
        }
    }
}

#[test]
fn no_byte_of_a_signed_body_can_be_changed() {
    for case in table(include_str!("../../tests/data/chunks.json")) {
        let body = case["client"].as_str().unwrap().as_bytes();
        // White space at the end is not signed.
        for at in 0..body.len() - 4 {
            let mut other = body.to_vec();
            other[at] = if other[at] == b'z' { b'y' } else { b'z' };
            assert!(push(&mut signer(&case), &other, 16).is_err(), "byte {at} of {case}");
        }
        // The end of the last line and the empty one behind it mean nothing.
        for len in 0..body.len() - 4 {
            assert!(push(&mut signer(&case), &body[..len], 16).is_err(), "{len} bytes of {case}");
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for case in table(include_str!("../../tests/data/chunks.json")) {
        let body = [case["client"].as_str().unwrap(), "x: y\r\n\r\n"].concat();
        assert!(push(&mut signer(&case), body.as_bytes(), 64).is_err(), "{case}");
    }
}

#[test]
fn a_chunk_that_is_too_long_is_refused_by_its_first_line() {
    let case = &table(include_str!("../../tests/data/chunks.json"))[0];
    let line = format!("800001;chunk-signature={}\r\n", "0".repeat(64));
    assert!(signer(case).data(Bytes::from(line)).is_err());
    let line = format!("800000;chunk-signature={}\r\n", "0".repeat(64));
    assert!(signer(case).data(Bytes::from(line)).unwrap().is_empty());
    assert!(signer(case).data(Bytes::from(vec![b'0'; 300])).is_err());
}

#[test]
fn a_trailer_is_bounded() {
    let cases = table(include_str!("../../tests/data/chunks.json"));
    let case = cases.iter().find(|case| case["trailer"] == true).unwrap();
    let body = case["client"].as_str().unwrap();
    let (chunks, _) = body.split_once("x-amz-checksum").unwrap();
    let mut signer = signer(case);
    signer.data(Bytes::copy_from_slice(chunks.as_bytes())).unwrap();
    assert!(signer.data(Bytes::from(vec![b'x'; 16 * 1024])).is_ok());
    assert!(signer.data(Bytes::from_static(b"x")).is_err());
}
