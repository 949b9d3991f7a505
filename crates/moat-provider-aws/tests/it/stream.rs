//! Bodies in signed chunks: what AWS would verify is what the client meant, wherever the pieces on
//! the wire end.

use bytes::Bytes;
use http::Method;
use moat_provider_core::BodySigning;
use proptest::prelude::*;

use crate::sign::{Way, head};
use crate::v4::Signing;

const URL: &str = "https://data.s3.eu-central-1.amazonaws.com/object";
const KIND: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// Writes a body in chunks.
fn encode(
    signing: &Signing,
    seed: &str,
    data: &[u8],
    len: usize,
    trailer: Option<&str>,
) -> Vec<u8> {
    let mut previous = seed.to_owned();
    let mut body = Vec::new();
    for chunk in data.chunks(len).chain([&[][..]]) {
        previous = signing.chunk(&previous, chunk);
        body.extend(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).bytes());
        body.extend(chunk);
        body.extend(if chunk.is_empty() { &b""[..] } else { b"\r\n" });
    }
    if let Some(line) = trailer {
        let signature = signing.trailer(&previous, &format!("{line}\n"));
        body.extend(format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n").bytes());
    }
    body.extend(b"\r\n");
    body
}

fn piece(body: &mut &[u8], cut: usize) -> Bytes {
    let (piece, rest) = body.split_at(cut.clamp(1, body.len()));
    *body = rest;
    Bytes::copy_from_slice(piece)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The new body is exactly that which a client with the session's keys would have sent: the
    /// same data in the same chunks, and as many bytes.
    #[test]
    fn a_stream_is_what_the_session_would_have_sent(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        len in 1usize..600,
        cuts in prop::collection::vec(1usize..400, 1..8),
        checksum in prop::option::of("[A-Za-z0-9]{6}=="),
    ) {
        let way = Way::with(&[]);
        let trailer = checksum.map(|sum| format!("x-amz-checksum-crc32c:{sum}"));
        let kind = if trailer.is_some() { format!("{KIND}-TRAILER") } else { KIND.to_owned() };
        let mut sent = head(Method::PUT, URL);
        sent.headers.insert("x-amz-content-sha256", kind.parse().unwrap());
        sent.headers.insert("x-amz-decoded-content-length", data.len().into());
        let (client, session) = (way.client("s3"), way.session("s3"));
        let seed = client.sign(&mut sent, &kind);
        let body = encode(&client, &seed, &data, len, trailer.as_deref());

        let BodySigning::Stream(mut signer) = way.begin(&mut sent).unwrap() else {
            panic!("a stream")
        };
        let seed = session.verify(&sent, &kind).unwrap();
        let expected = encode(&session, &seed, &data, len, trailer.as_deref());
        let (mut rest, mut out) = (&*body, Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            out.extend_from_slice(&signer.data(piece(&mut rest, *cut)).unwrap());
        }
        out.extend_from_slice(&signer.end().unwrap());
        prop_assert_eq!(out.len(), body.len());
        prop_assert!(out == expected);
    }

    /// Whatever comes instead, nothing that the run's key did not sign goes on with a signature of
    /// the session.
    #[test]
    fn no_other_bytes_are_signed(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            "[0-9a-f]{0,9};chunk-signature=[0-9a-f]{60,66}\r\n[a-z\r\n]{0,40}".prop_map(String::into_bytes),
        ],
        cut in 1usize..100,
    ) {
        let way = Way::with(&[]);
        let mut sent = head(Method::PUT, URL);
        sent.headers.insert("x-amz-content-sha256", KIND.parse().unwrap());
        way.client("s3").sign(&mut sent, KIND);
        let BodySigning::Stream(mut signer) = way.begin(&mut sent).unwrap() else {
            panic!("a stream")
        };
        let mut rest = &*body;
        let mut failed = false;
        while !rest.is_empty() && !failed {
            match signer.data(piece(&mut rest, cut)) {
                Ok(out) => prop_assert!(out.is_empty()),
                Err(_) => failed = true,
            }
        }
        prop_assert!(failed || signer.end().is_err());
    }
}
