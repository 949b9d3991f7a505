//! Compressed bodies.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use http::{HeaderMap, HeaderValue, StatusCode};
use moat_provider_testkit::Canary;
use moat_proxy::Reason;
use moat_proxy::scrub::{BodyScrub, Place, Scrubber};
use proptest::prelude::*;

use crate::scrub_support::{
    assemble, chunks, concat, forms, lies_in, mask, parts, scrubber, secret,
};

/// What each test runs through; the last are several at once.
const CODINGS: [&str; 8] =
    ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip, br", "zstd, gzip", "br, zstd"];

fn encode(coding: &str, body: &[u8]) -> Vec<u8> {
    if let Some((inner, outer)) = coding.split_once(", ") {
        return encode(outer, &encode(inner, body));
    }
    let level = Compression::new(6);
    match coding {
        "gzip" => {
            let mut writer = flate2::GzBuilder::new()
                .filename("name")
                .comment("comment")
                .extra("extra")
                .write(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "raw deflate" => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "br" => {
            let mut coded = Vec::new();
            brotli::CompressorReader::new(body, 4096, 5, 20).read_to_end(&mut coded).unwrap();
            coded
        }
        "zstd" => {
            let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
            zstd_safe::compress(&mut coded, body, 3).unwrap();
            coded
        }
        _ => panic!("{coding}"),
    }
}

/// Decodes as much as there is.
fn decode(coding: &str, coded: &[u8]) -> Vec<u8> {
    if let Some((inner, outer)) = coding.split_once(", ") {
        return decode(inner, &decode(outer, coded));
    }
    let mut body = Vec::new();
    let _ = match coding {
        "gzip" => flate2::read::MultiGzDecoder::new(coded).read_to_end(&mut body),
        "deflate" => flate2::read::ZlibDecoder::new(coded).read_to_end(&mut body),
        "raw deflate" => flate2::read::DeflateDecoder::new(coded).read_to_end(&mut body),
        "br" => brotli::Decompressor::new(coded, 4096).read_to_end(&mut body),
        "zstd" => {
            let mut context = zstd_safe::DCtx::create();
            body = vec![0; 1 << 20];
            let mut target = zstd_safe::OutBuffer::around(&mut body[..]);
            let mut source = zstd_safe::InBuffer::around(coded);
            while context.decompress_stream(&mut target, &mut source).is_ok_and(|hint| hint > 0)
                && source.pos() < coded.len()
            {}
            let len = target.pos();
            body.truncate(len);
            Ok(len)
        }
        _ => panic!("{coding}"),
    };
    body
}

fn head(coding: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&coding.replace("raw ", "")).unwrap();
    [(http::header::CONTENT_ENCODING, value)].into_iter().collect()
}

fn body_scrub(scrubber: &Scrubber, coding: &str) -> BodyScrub {
    scrubber.body(StatusCode::OK, &head(coding))
}

/// Returns what passed, and why it was cut.
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

proptest! {
    #[test]
    fn a_body_passes_as_it_is_or_is_cut(
        coding in prop::sample::select(CODINGS.to_vec()),
        (secret, public) in secret(),
        parts in parts(),
        borders in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let forms = forms(&secret, public);
        let body = assemble(&secret, &forms, &parts);
        let coded = encode(coding, &body);
        let mut scrub = body_scrub(&scrubber(&secret, public), coding);
        let (out, cut) = run(&mut scrub, chunks(&coded, &borders));
        if mask(&body, &forms) == body {
            prop_assert_eq!(cut, None);
            prop_assert!(scrub.found().is_empty());
            prop_assert_eq!(out, coded);
        } else {
            prop_assert_eq!(cut, Some(Reason::SecretInCompressedAnswer));
            prop_assert_eq!(scrub.found().hits()[0].place(), Place::Body);
            let seen = decode(coding, &out);
            prop_assert!(body.starts_with(&seen));
            prop_assert_eq!(&mask(&seen, &forms), &seen);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(
        coding in prop::sample::select(CODINGS.to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        borders in prop::collection::vec(any::<usize>(), 0..5),
    ) {
        let mut scrub = body_scrub(&scrubber("a secret that does not occur", 0), coding);
        let (out, cut) = run(&mut scrub, chunks(&bytes, &borders));
        prop_assert!(bytes.starts_with(&out));
        match cut {
            None => prop_assert_eq!(out, bytes),
            Some(reason) => prop_assert_eq!(reason, Reason::UndecodableAnswer),
        }
    }

    #[test]
    fn damage_does_no_harm(
        coding in prop::sample::select(CODINGS.to_vec()),
        body in prop::collection::vec(any::<u8>(), 0..400),
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        borders in prop::collection::vec(any::<usize>(), 0..5),
    ) {
        let mut coded = encode(coding, &body);
        for (at, byte) in damage {
            let at = at % coded.len();
            coded[at] = byte;
        }
        let mut scrub = body_scrub(&scrubber("a secret that does not occur", 0), coding);
        let (out, cut) = run(&mut scrub, chunks(&coded, &borders));
        prop_assert!(coded.starts_with(&out));
        prop_assert_eq!(cut.is_none(), out == coded);
    }
}

#[test]
fn every_cut_in_two_is_found() {
    let canary = Canary::with_length("ghp_", 64);
    for coding in CODINGS {
        let body = format!("{{\"echo\":\"x\",\"token\":\"{}\"}}", canary.text().replace('"', "'"));
        let secret = &canary.text().replace('"', "'");
        let scrubber = scrubber(secret, 4);
        let coded = encode(coding, body.as_bytes());
        for at in 0..=coded.len() {
            let (out, cut) = run(&mut body_scrub(&scrubber, coding), chunks(&coded, &[at]));
            assert_eq!(cut, Some(Reason::SecretInCompressedAnswer), "{coding} at {at}");
            let seen = decode(coding, &out);
            assert!(!String::from_utf8_lossy(&seen).contains(&secret[..12]), "{coding} at {at}");
        }
    }
}

#[test]
fn a_clean_body_is_not_copied() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    for coding in CODINGS {
        let coded = Bytes::from(encode(coding, &b"some text, ".repeat(1000)));
        let mut scrub = body_scrub(&scrubber, coding);
        let mut out = Vec::new();
        for piece in chunks(&coded, &[10, 20, 30]) {
            let output = scrub.push(piece.clone()).unwrap();
            if !coding.ends_with("zstd") {
                assert!(lies_in(&output, &piece), "{coding}");
                assert_eq!(scrub.held_len(), 0, "{coding}");
            }
            out.extend(concat(output));
        }
        out.extend(concat(scrub.finish()));
        assert_eq!(out, coded, "{coding}");
    }
}

/// Returns a text in whose coded form a secret does not stand as it is: its halves come before it,
/// so a compressor refers back to them.
fn hidden(canary: &Canary, len: usize) -> Vec<u8> {
    let (begin, end) = canary.text().split_at(32);
    [end, " ", begin, &"x".repeat(len), canary.text()].concat().into_bytes()
}

/// More than the decoders hand on at a time.
#[test]
fn a_secret_behind_much_text_in_one_piece_is_found() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    for coding in CODINGS {
        for len in [16_000, 16 * 1024 - 64, 100_000] {
            let piece = Bytes::from(encode(coding, &hidden(&canary, len)));
            assert!(body_scrub(&scrubber, coding).push(piece).is_err(), "{coding} behind {len}");
        }
    }
    let piece = flushed_block(&mut zstd_safe::CCtx::create(), &hidden(&canary, 100_000));
    assert!(body_scrub(&scrubber, "zstd").push(piece).is_err());
}

/// Compresses a text that others follow in the same frame.
fn flushed_block(zstd: &mut zstd_safe::CCtx<'_>, text: &[u8]) -> Bytes {
    let mut coded = vec![0; 1000];
    let mut target = zstd_safe::OutBuffer::around(&mut coded[..]);
    let mut source = zstd_safe::InBuffer::around(text);
    zstd.compress_stream(&mut target, &mut source).unwrap();
    while zstd.flush_stream(&mut target).unwrap() > 0 {}
    let len = target.pos();
    coded.truncate(len);
    coded.into()
}

/// A server that flushes after each event gets each event through.
#[test]
fn a_flushed_event_passes_at_once() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let event = b"data: {\"delta\":\"hello\"}\n\n";

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::new(6));
    let mut scrub = body_scrub(&scrubber, "gzip");
    for _ in 0..5 {
        gzip.write_all(event).unwrap();
        gzip.flush().unwrap();
        let coded = Bytes::from(std::mem::take(gzip.get_mut()));
        assert_eq!(concat(scrub.push(coded.clone()).unwrap()), coded);
    }

    let mut zstd = zstd_safe::CCtx::create();
    let mut scrub = body_scrub(&scrubber, "zstd");
    for _ in 0..5 {
        let coded = flushed_block(&mut zstd, event);
        assert_eq!(concat(scrub.push(coded.clone()).unwrap()), coded);
    }

    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
    let mut scrub = body_scrub(&scrubber, "br");
    for _ in 0..5 {
        brotli.write_all(event).unwrap();
        brotli.flush().unwrap();
        let coded = Bytes::from(std::mem::take(brotli.get_mut()));
        assert!(!coded.is_empty());
        assert_eq!(concat(scrub.push(coded.clone()).unwrap()), coded);
    }
}

#[test]
fn all_members_and_frames_are_decoded() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    for coding in ["gzip", "zstd"] {
        let coded = [
            encode(coding, b"first"),
            encode(coding, b""),
            encode(coding, canary.text().as_bytes()),
        ];
        for borders in [vec![], (0..1000).collect()] {
            let pieces = chunks(&coded.concat(), &borders);
            let (_, cut) = run(&mut body_scrub(&scrubber, coding), pieces);
            assert_eq!(cut, Some(Reason::SecretInCompressedAnswer), "{coding}");
        }
    }
}

#[test]
fn what_stands_around_the_compressed_data_is_scanned() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let secret = canary.text().as_bytes();
    let name = flate2::GzBuilder::new().filename(secret).write(Vec::new(), Compression::new(1));
    let skippable = [
        &[0x53, 0x2a, 0x4d, 0x18][..],
        &u32::try_from(secret.len()).unwrap().to_le_bytes(),
        secret,
        &encode("zstd", b"text"),
    ];
    for (coding, coded) in [
        ("gzip", name.finish().unwrap()),
        ("gzip", [&encode("gzip", b"text"), secret].concat()),
        ("br", [&encode("br", b"text"), secret].concat()),
        ("zstd", skippable.concat()),
    ] {
        let (_, cut) = run(&mut body_scrub(&scrubber, coding), vec![coded.into()]);
        assert_eq!(cut, Some(Reason::SecretInCompressedAnswer), "{coding}");
    }
}

#[test]
fn what_follows_the_end_passes() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    for coding in ["gzip", "deflate", "raw deflate", "br"] {
        let coded = [encode(coding, b"text").as_slice(), b"\0\0\0\0\0\0\0\0"].concat();
        let (out, cut) = run(&mut body_scrub(&scrubber, coding), vec![coded.clone().into()]);
        assert_eq!((out, cut), (coded, None), "{coding}");
    }
}

#[test]
fn a_body_that_was_broken_off_passes() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let body: Vec<u8> =
        (0..4000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for coding in CODINGS {
        let coded = encode(coding, &body);
        let half = Bytes::copy_from_slice(&coded[..coded.len() / 2]);
        let (out, cut) = run(&mut body_scrub(&scrubber, coding), vec![half.clone()]);
        assert_eq!((out, cut), (half.to_vec(), None), "{coding}");
    }
}

#[test]
fn an_incomplete_block_of_zstd_waits() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let body: Vec<u8> = (0..50_000_u32).flat_map(|n| (n * n).to_string().into_bytes()).collect();
    let coded = encode("zstd", &body);
    let mut scrub = body_scrub(&scrubber, "zstd");
    let mut out = Vec::new();
    for (at, piece) in coded.chunks(100).enumerate() {
        out.extend(concat(scrub.push(Bytes::copy_from_slice(piece)).unwrap()));
        assert_eq!(out.len() + scrub.held_len(), (at * 100 + 100).min(coded.len()));
        // The frame's header and that of the first block, and nothing of its content.
        assert!(at > 2 || out.len() < 18);
    }
    assert!(out.len() > coded.len() / 2, "blocks pass when they are complete");
    out.extend(concat(scrub.finish()));
    assert_eq!(out, coded);
}

/// Every kind of frame ends where it is thought to end.
#[test]
fn nothing_waits_behind_a_complete_frame_of_zstd() {
    use zstd_safe::CParameter::{ChecksumFlag, ContentSizeFlag};
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    let mut scrub = body_scrub(&scrubber, "zstd");
    for (checksum, size) in [(false, false), (true, false), (false, true), (true, true)] {
        for len in [0, 1, 255, 300, 70_000, 400_000] {
            let mut zstd = zstd_safe::CCtx::create();
            zstd.set_parameter(ChecksumFlag(checksum)).unwrap();
            zstd.set_parameter(ContentSizeFlag(size)).unwrap();
            let body: Vec<u8> =
                (0..len).map(|at: u32| (at.wrapping_mul(at) / 7).to_le_bytes()[1]).collect();
            let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
            zstd.compress2(&mut coded, &body).unwrap();
            let skippable = [&[0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
            let empty = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
            let coded = [&coded[..], &skippable, &empty].concat();
            let mut out = Vec::new();
            for piece in chunks(&coded, &[1, 5, 9, 12, 1000, coded.len() - 20]) {
                out.extend(concat(scrub.push(piece).unwrap()));
            }
            assert_eq!(scrub.held_len(), 0, "{len} {checksum} {size}");
            assert_eq!(out, coded);
        }
    }
}

#[test]
fn a_coding_of_another_name_is_scanned_as_it_is_and_named() {
    let canary = Canary::with_length("k-", 64);
    let scrubber = scrubber(canary.text(), 2);
    let mut scrub = body_scrub(&scrubber, "aws-chunked");
    assert_eq!(concat(scrub.push(canary.text().to_owned().into()).unwrap())[2..], [b'*'; 64]);
    assert_eq!(scrub.found().unscanned(), ["aws-chunked".into()]);

    let part = scrubber.body(StatusCode::PARTIAL_CONTENT, &head("gzip"));
    assert_eq!(part.found().unscanned().len(), 1);
}

/// What a process took at most is told on Linux only; a process of its own has no other tests in it.
#[test]
#[cfg(target_os = "linux")]
fn a_bomb_takes_little_memory() {
    #[expect(clippy::disallowed_methods, reason = "this program, for one test")]
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scrub_coded::a_bomb", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// 1 GiB of zeros in 1 MiB; less of them where nothing is optimised.
#[test]
#[ignore = "a_bomb_takes_little_memory runs it"]
#[cfg(target_os = "linux")]
fn a_bomb() {
    let mebibytes = if cfg!(debug_assertions) { 64 } else { 1024 };
    let mut compress = Compress::new(Compression::new(9), false);
    let mut mebibyte = Vec::with_capacity(1 << 20);
    compress.compress_vec(&vec![0; 1 << 20], &mut mebibyte, FlushCompress::Full).unwrap();
    assert!(mebibyte.len() < 1100);
    let canary = Canary::with_length("", 64);
    let mut scrub = body_scrub(&scrubber(canary.text(), 0), "deflate");
    let mebibyte = Bytes::from(mebibyte);
    for _ in 0..mebibytes {
        assert_eq!(concat(scrub.push(mebibyte.clone()).unwrap()), mebibyte);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 32 * 1024, "{peak} KiB");
}

/// zstd and brotli expand without a bound.
#[test]
fn an_answer_that_expands_too_far_is_cut() {
    let canary = Canary::with_length("", 64);
    let scrubber = scrubber(canary.text(), 0);
    // A frame of 128 KiB blocks of zeros, each four bytes (RFC 8878, section 3.1.1.2).
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let block = ((128_u32 << 10) << 3 | 1 << 1).to_le_bytes();
    let coded = [&frame[..], &[block[0], block[1], block[2], 0].repeat(1024)].concat();
    let (_, cut) = run(&mut body_scrub(&scrubber, "zstd"), chunks(&coded, &[1500, 2000]));
    assert_eq!(cut, Some(Reason::AnswerExpandsTooFar));
    // A quarter of it is an odd answer, but one.
    let (out, cut) =
        run(&mut body_scrub(&scrubber, "zstd"), vec![Bytes::copy_from_slice(&coded[..1000])]);
    assert_eq!((out.len(), cut), (1000, None));
}

#[test]
fn a_window_of_more_than_8_mib_is_refused() {
    let canary = Canary::with_length("", 64);
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x78, 0x01, 0x00, 0x00];
    let mut scrub = body_scrub(&scrubber(canary.text(), 0), "zstd");
    let (_, cut) = run(&mut scrub, vec![Bytes::copy_from_slice(&frame)]);
    assert_eq!(cut, Some(Reason::UndecodableAnswer));
}

#[test]
fn streams_can_be_sent_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<BodyScrub>();
    check::<moat_proxy::scrub::WebSocketScrub>();
}
