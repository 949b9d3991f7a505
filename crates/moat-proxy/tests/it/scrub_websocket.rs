//! Frames of WebSockets.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use http::{HeaderMap, HeaderValue};
use moat_provider_testkit::Canary;
use moat_proxy::Reason;
use moat_proxy::scrub::{Cut, Place, Scrubber, WebSocketScrub};
use proptest::prelude::*;

use crate::scrub_support::{chunks, concat, lies_in, scrubber};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;
const PING: u8 = 9;
const CLOSE: u8 = 8;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            frame.push(126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn plain(scrubber: &Scrubber) -> WebSocketScrub {
    scrubber.websocket(&HeaderMap::new()).unwrap()
}

fn deflating(scrubber: &Scrubber, parameters: &'static str) -> WebSocketScrub {
    let value = HeaderValue::from_str(&format!("permessage-deflate{parameters}")).unwrap();
    let headers = [(http::header::SEC_WEBSOCKET_EXTENSIONS, value)].into_iter().collect();
    scrubber.websocket(&headers).unwrap()
}

/// Compresses messages as RFC 7692 says.
struct Deflater(Compress);

impl Deflater {
    fn new() -> Self {
        Self(Compress::new(Compression::new(6), false))
    }

    fn message(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1000);
        self.0.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

fn run(scrub: &mut WebSocketScrub, pieces: Vec<Bytes>) -> (Vec<u8>, Option<Cut>) {
    let mut out = Vec::new();
    for piece in pieces {
        match scrub.push(piece) {
            Ok(output) => out.extend(concat(output)),
            Err(cut) => {
                assert!(scrub.push("more".into()).is_err());
                assert!(scrub.finish().is_empty());
                return (out, Some(cut));
            }
        }
    }
    out.extend(concat(scrub.finish()));
    (out, None)
}

#[track_caller]
fn assert_at_every_border(new: impl Fn() -> WebSocketScrub, stream: &[u8], expected: &[u8]) {
    for at in 0..=stream.len() {
        let (out, cut) = run(&mut new(), chunks(stream, &[at]));
        assert!(cut.is_none(), "{cut:?} at {at}");
        assert_eq!(out, expected, "at {at}");
    }
    let all: Vec<usize> = (0..stream.len()).collect();
    let (out, _) = run(&mut new(), chunks(stream, &all));
    assert_eq!(out, expected);
}

#[test]
fn messages_are_masked_wherever_they_are_cut() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let (long, masked) = (format!("{}{}", "x".repeat(100), canary.text()), "*".repeat(64));
    let stream = [
        frame(FIN | TEXT, canary.text().as_bytes()),
        frame(FIN | PING, b"k-"),
        frame(FIN | TEXT, b""),
        frame(FIN | 2, long.as_bytes()),
        frame(FIN | TEXT, b"bye"),
    ];
    let expected = [
        frame(FIN | TEXT, format!("k-{masked}").as_bytes()),
        frame(FIN | PING, b"k-"),
        frame(FIN | TEXT, b""),
        frame(FIN | 2, format!("{}k-{masked}", "x".repeat(100)).as_bytes()),
        frame(FIN | TEXT, b"bye"),
    ];
    assert_at_every_border(|| plain(&scrubber), &stream.concat(), &expected.concat());
}

#[test]
fn fragments_with_control_frames_between_are_one_message() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let secret = canary.text().as_bytes();
    let stream = [
        frame(TEXT, &secret[..20]),
        frame(FIN | PING, b"are you there"),
        frame(0, b""),
        frame(0, &secret[20..40]),
        frame(FIN | 10, b""),
        frame(FIN, &[&secret[40..], b"!"].concat()),
        frame(FIN | TEXT, b"next"),
    ];
    let expected = [
        frame(TEXT, &[b"k-".as_slice(), &[b'*'; 18]].concat()),
        frame(FIN | PING, b"are you there"),
        frame(0, b""),
        frame(0, &[b'*'; 20]),
        frame(FIN | 10, b""),
        frame(FIN, &[&[b'*'; 26][..], b"!"].concat()),
        frame(FIN | TEXT, b"next"),
    ];
    assert_at_every_border(|| plain(&scrubber), &stream.concat(), &expected.concat());
    // The same frames where compression was agreed upon and not used.
    assert_at_every_border(|| deflating(&scrubber, ""), &stream.concat(), &expected.concat());
}

#[test]
fn control_frames_are_masked() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let close =
        |text: &str| frame(FIN | CLOSE, &[&1000_u16.to_be_bytes(), text.as_bytes()].concat());
    let (stream, expected) = (close(canary.text()), close(&format!("k-{}", "*".repeat(64))));
    assert_at_every_border(|| plain(&scrubber), &stream, &expected);
    let (out, _) = run(&mut plain(&scrubber), chunks(&stream[..stream.len()], &[]));
    assert!(canary.find_in(&out).is_none());
    // A frame that never ends.
    let unfinished = &frame(FIN | PING, &[canary.text().as_bytes(), b"x"].concat())[..68];
    let (out, _) = run(&mut plain(&scrubber), chunks(unfinished, &[30]));
    assert!(canary.find_in(&out).is_none());
    assert_eq!(out.len(), unfinished.len());
}

#[test]
fn clean_frames_are_not_copied_and_nothing_waits_behind_a_message() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let beginning = &canary.text().as_bytes()[..7];
    let stream = [frame(FIN | TEXT, b"{}"), frame(FIN | PING, b"1"), frame(FIN | TEXT, beginning)];
    let stream = Bytes::from(stream.concat());
    let mut scrub = plain(&scrubber);
    let output = scrub.push(stream.clone()).unwrap();
    assert!(lies_in(&output, &stream));
    assert_eq!(output.iter().count(), 1);
    assert_eq!(concat(output), stream);
    assert_eq!(scrub.held_len(), 0);

    let output = scrub.push(frame(TEXT, beginning).into()).unwrap();
    assert_eq!(output.len(), 4);
    assert_eq!(concat(scrub.flush()), &beginning[2..]);
}

#[test]
fn clean_compressed_messages_pass_with_and_without_takeover() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let texts = ["{\"type\":\"delta\",\"text\":\"hello hello\"}", "{\"type\":\"delta\"}", ""];
    let mut takeover = Deflater::new();
    let mut stream = Vec::new();
    for text in texts {
        let coded = takeover.message(text.as_bytes());
        let (begin, end) = coded.split_at(coded.len() / 2);
        stream.extend(frame(RSV1 | TEXT, begin));
        stream.extend(frame(FIN | PING, b"ping"));
        stream.extend(frame(FIN, end));
    }
    assert_at_every_border(
        || deflating(&scrubber, "; server_max_window_bits=12"),
        &stream,
        &stream,
    );

    let alone: Vec<u8> = texts
        .iter()
        .flat_map(|text| frame(FIN | RSV1 | TEXT, &Deflater::new().message(text.as_bytes())))
        .collect();
    assert_at_every_border(|| deflating(&scrubber, "; server_no_context_takeover"), &alone, &alone);
}

#[test]
fn messages_that_end_their_deflate_stream_pass() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let finished = |text: &str, tail: &[u8]| {
        let mut coded = Vec::with_capacity(1000);
        let mut compress = Compress::new(Compression::new(6), false);
        compress.compress_vec(text.as_bytes(), &mut coded, FlushCompress::Finish).unwrap();
        coded.extend(tail);
        frame(FIN | RSV1 | TEXT, &coded)
    };
    let stream = [finished("one", b"\0"), finished("two", b""), finished("three", b"\0")].concat();
    assert_at_every_border(|| deflating(&scrubber, ""), &stream, &stream);

    let stream = [finished("one", b""), finished(canary.text(), b"")].concat();
    let (_, cut) = run(&mut deflating(&scrubber, ""), chunks(&stream, &[]));
    assert_eq!(cut.unwrap().reason(), Reason::SecretInCompressedMessage);
}

#[test]
fn a_secret_in_a_compressed_message_closes_the_connection() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let mut deflater = Deflater::new();
    let first = frame(FIN | RSV1 | TEXT, &deflater.message(b"hello"));
    let text = format!("{{\"echo\":\"{}\"}}", canary.text());
    let second = frame(FIN | RSV1 | TEXT, &deflater.message(text.as_bytes()));
    let stream = [first.clone(), second, frame(FIN | TEXT, b"more")].concat();
    let close = frame(
        FIN | CLOSE,
        &[&1008_u16.to_be_bytes()[..], b"secret-in-compressed-message"].concat(),
    );
    for at in 0..=stream.len() {
        let mut scrub = deflating(&scrubber, "");
        let (mut out, cut) = run(&mut scrub, chunks(&stream, &[at]));
        let cut = cut.unwrap();
        assert_eq!(cut.reason(), Reason::SecretInCompressedMessage);
        out.extend(concat(cut.into_last()));
        let begun = out.len().saturating_sub(first.len() + close.len());
        if at <= first.len() + 1 {
            assert_eq!(out, [first.clone(), close.clone()].concat(), "at {at}");
        } else {
            // Either the frame has begun to pass, or it is replaced.
            assert!(out.ends_with(&close) && begun == 0 || stream.starts_with(&out), "at {at}");
        }
        let [hit] = scrub.found().hits() else { panic!() };
        assert_eq!((hit.place(), hit.count()), (Place::Message, 1));
    }
}

/// Compressed by what the message before held.
#[test]
fn a_secret_that_refers_back_is_found() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let mut deflater = Deflater::new();
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let halves = canary.text().split_at(33);
    let first = format!("{} {} {}", halves.1, reversed(canary.text()), halves.0);
    let stream = [
        frame(FIN | RSV1 | TEXT, &deflater.message(first.as_bytes())),
        frame(FIN | RSV1 | TEXT, &deflater.message(canary.text().as_bytes())),
    ];
    let (out, cut) = run(&mut deflating(&scrubber, ""), vec![stream[0].clone().into()]);
    assert!(cut.is_none() && out == stream[0]);
    let (_, cut) = run(&mut deflating(&scrubber, ""), chunks(&stream.concat(), &[]));
    assert_eq!(cut.unwrap().reason(), Reason::SecretInCompressedMessage);
}

#[test]
fn what_is_not_a_frame_closes_the_connection() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let masked = [&[FIN | TEXT, 0x81][..], b"\0\0\0\0x"].concat();
    let compressed = frame(FIN | RSV1 | TEXT, b"x");
    let stray = frame(FIN, b"x");
    let interrupted = [frame(TEXT, b"x"), frame(TEXT, b"y")].concat();
    for broken in [masked, compressed, stray, interrupted, b"HTTP/1.1 200 OK".to_vec()] {
        let stream = [frame(FIN | TEXT, b"fine"), broken.clone()].concat();
        let (out, cut) = run(&mut plain(&scrubber), chunks(&stream, &[1, 7]));
        let cut = cut.unwrap_or_else(|| panic!("{broken:x?}"));
        assert_eq!(cut.reason(), Reason::MalformedWebSocketFrame);
        let all = [out, concat(cut.into_last())].concat();
        let close = &[0x88, 27, 0x03, 0xea];
        assert!(all.starts_with(&frame(FIN | TEXT, b"fine")));
        assert!(all.windows(4).any(|window| window == close), "{all:x?}");
    }
}

#[test]
fn a_message_that_cannot_be_decoded_closes_the_connection() {
    let canary = Canary::with_length("", 64);
    let stream = frame(FIN | RSV1 | TEXT, b"\xff\xff\xff\xff");
    let (_, cut) = run(&mut deflating(&scrubber(canary.text(), 0), ""), chunks(&stream, &[]));
    let cut = cut.unwrap();
    assert_eq!(cut.reason(), Reason::UndecodableAnswer);
    assert_eq!(concat(cut.into_last())[2..4], 1007_u16.to_be_bytes());
}

#[test]
fn an_unknown_extension_is_refused() {
    let value = HeaderValue::from_static("permessage-bzip2");
    let headers = [(http::header::SEC_WEBSOCKET_EXTENSIONS, value)].into_iter().collect();
    let error = scrubber("a secret of ours", 0).websocket(&headers).unwrap_err();
    assert_eq!(error.as_str(), "unscannable-websocket-extension");
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(
        bytes in prop::collection::vec(
            prop_oneof![Just(0x81_u8), Just(0xc1), Just(0x01), Just(0), 0..10_u8, any::<u8>()],
            0..300,
        ),
        borders in prop::collection::vec(any::<usize>(), 0..5),
        deflate in any::<bool>(),
    ) {
        let scrubber = scrubber("a secret that does not occur", 0);
        let mut scrub = if deflate { deflating(&scrubber, "") } else { plain(&scrubber) };
        let (out, cut) = run(&mut scrub, chunks(&bytes, &borders));
        prop_assert!(bytes.starts_with(&out));
        prop_assert_eq!(cut.is_none(), out == bytes);
    }

    #[test]
    fn frames_of_any_shape_pass(
        messages in prop::collection::vec(
            (prop::collection::vec("[a-z{}\":]{0,200}", 1..4), any::<bool>()), 1..5),
        borders in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let scrubber = scrubber("a secret that does not occur", 0);
        let mut deflater = Deflater::new();
        let mut stream = Vec::new();
        for (fragments, compressed) in messages {
            let last = fragments.len() - 1;
            let coded = deflater.message(fragments.concat().as_bytes());
            for (at, fragment) in fragments.iter().enumerate() {
                let share = &coded[coded.len() * at / (last + 1)..coded.len() * (at + 1) / (last + 1)];
                let mut first = if at == 0 { TEXT } else { 0 };
                first |= if at == last { FIN } else { 0 };
                first |= if at == 0 && compressed { RSV1 } else { 0 };
                stream.extend(frame(first, if compressed { share } else { fragment.as_bytes() }));
            }
            if !compressed {
                deflater = Deflater::new();
                // The server's compressor would have skipped the message; a new one has no past.
            }
        }
        let (out, cut) = run(&mut deflating(&scrubber, ""), chunks(&stream, &borders));
        prop_assert!(cut.is_none(), "{:?}", cut);
        prop_assert_eq!(out, stream);
    }
}
