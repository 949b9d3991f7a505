//! Text that is not compressed, in pieces.

use std::sync::Arc;

use bytes::Bytes;
use moat_provider_core::Secret;
use moat_provider_testkit::Canary;
use moat_proxy::scrub::{Form, Place, ScrubStream, Scrubber, WhyUnscrubbed, public_prefix_len};
use proptest::prelude::*;

use crate::scrub_support::{
    assemble, chunks, concat, forms, lies_in, mask, name, parts, scrubber, secret,
};

fn run(stream: &mut ScrubStream, pieces: Vec<Bytes>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(concat(stream.push(piece)));
    }
    out.extend(concat(stream.finish()));
    out
}

proptest! {
    #[test]
    fn pieces_are_masked_like_the_whole(
        (secret, public) in secret(),
        parts in parts(),
        borders in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let forms = forms(&secret, public);
        let body = assemble(&secret, &forms, &parts);
        let longest = forms.iter().map(|form| form.text.len()).max().unwrap();
        let mut stream = scrubber(&secret, public).text();
        let mut out = Vec::new();
        for piece in chunks(&body, &borders) {
            out.extend(concat(stream.push(piece)));
            prop_assert!(stream.held_len() < longest);
        }
        out.extend(concat(stream.finish()));
        let masked = mask(&body, &forms);
        prop_assert_eq!(&out, &masked);
        prop_assert_eq!(stream.found().hits().is_empty(), masked == body);
    }

    #[test]
    fn every_cut_of_every_form_is_masked((secret, public) in secret(), cut in any::<usize>()) {
        let scrubber = scrubber(&secret, public);
        for form in forms(&secret, public) {
            let body = [b"x ".as_slice(), &form.text, b" y"].concat();
            let out = run(&mut scrubber.text(), chunks(&body, &[cut]));
            prop_assert_eq!(out, mask(&body, &forms(&secret, public)));
        }
    }

    #[test]
    fn a_clean_text_passes_as_it_is_and_without_a_copy(
        (secret, public) in secret(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
    ) {
        let mut stream = scrubber(&secret, public).text();
        let whole = Bytes::from(pieces.concat());
        let mut at = 0;
        let mut out = Vec::new();
        for piece in &pieces {
            let piece = whole.slice(at..at + piece.len());
            at += piece.len();
            let output = stream.push(piece);
            prop_assert!(lies_in(&output, &whole));
            out.extend(concat(output));
        }
        let output = stream.finish();
        prop_assert!(lies_in(&output, &whole));
        out.extend(concat(output));
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn a_beginning_at_the_end_comes_back_as_it_is((secret, public) in secret(), len in any::<usize>()) {
        let scrubber = scrubber(&secret, public);
        for form in forms(&secret, public) {
            let body = &form.text[..len % form.text.len()];
            let out = run(&mut scrubber.text(), chunks(body, &[len / 2]));
            // The beginning of one form may be all of another.
            prop_assert_eq!(out, mask(body, &forms(&secret, public)));
        }
    }

    #[test]
    fn flushes_at_any_place_show_less_than_eight_bytes(
        (secret, public) in secret(),
        borders in prop::collection::vec(any::<usize>(), 0..60),
    ) {
        let secret = secret.replace('*', "x");
        let mut stream = scrubber(&secret, public).text();
        let body = format!("token: {secret}\n");
        let mut out = Vec::new();
        for piece in chunks(body.as_bytes(), &borders) {
            out.extend(concat(stream.push(piece)));
            out.extend(concat(stream.flush()));
            prop_assert_eq!(stream.held_len(), 0);
        }
        let shown = out[7..].iter().zip(secret.bytes()).take_while(|(out, byte)| *out == byte);
        let shown = shown.count().saturating_sub(public);
        // A character of several bytes is shown or masked as a whole.
        prop_assert!(shown < 8 || shown < 11 && !secret.is_ascii(), "{}", shown);
        prop_assert_eq!(out.len(), body.len());
        let end = &out[7 + (public + 11).min(secret.len())..7 + secret.len()];
        prop_assert!(end.iter().all(|byte| *byte == b'*'));
    }
}

#[test]
fn a_public_prefix_is_neither_held_nor_masked() {
    let canary = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
    let mut stream = scrubber(canary.text(), 4).text();
    assert_eq!(concat(stream.push("see ghp_".into())), b"see ghp_");
    let rest = canary.text()[4..].to_owned();
    assert_eq!(concat(stream.push(rest[..10].to_owned().into())), b"");
    assert_eq!(stream.held_len(), 10);
    assert_eq!(to_the_end(&mut stream, &rest[10..]), [b'*'; 36]);
}

/// Pushes the rest. Its last byte may be held, because another secret may begin with it.
fn to_the_end(stream: &mut ScrubStream, rest: &str) -> Vec<u8> {
    let mut all = concat(stream.push(rest.to_owned().into()));
    all.extend(concat(stream.finish()));
    all
}

/// One secret's public prefix ends like another secret begins.
#[test]
fn a_beginning_within_a_public_prefix_is_held() {
    let (one, other) = (Canary::with_length("our-token-", 64), Canary::with_length("token-", 64));
    let scrubber = Scrubber::builder()
        .secret(name("one"), &one.secret(), 10)
        .secret(name("other"), &other.secret(), 0)
        .build()
        .unwrap();
    let mut stream = scrubber.text();
    assert_eq!(concat(stream.push("our-token-".into())), b"our-");
    let rest = other.text()[6..].to_owned();
    assert_eq!(run(&mut stream, vec![rest.into()]), [b'*'; 70]);
}

#[test]
fn an_event_comes_back_whole_at_once() {
    let canary = Canary::with_length("", 64);
    let mut stream = scrubber(canary.text(), 0).text();
    for event in ["data: {\"delta\":\"ghp\"}\n\n", "event: ping\r\n\r\n", ": \n\n"] {
        let event = Bytes::from_static(event.as_bytes());
        let output = stream.push(event.clone());
        assert!(lies_in(&output, &event));
        assert_eq!(concat(output), event);
    }
    assert!(stream.found().is_empty());
}

#[test]
fn what_was_flushed_is_still_known() {
    let canary = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
    let (begin, end) = canary.text().split_at(7);
    let mut stream = scrubber(canary.text(), 4).text();
    assert_eq!(concat(stream.push(begin.to_owned().into())), b"ghp_");
    assert_eq!(concat(stream.flush()), &begin.as_bytes()[4..]);
    assert_eq!(concat(stream.push(format!("{end}.").into())), [&[b'*'; 33][..], b"."].concat());
    assert_eq!(stream.found().partials(), 0);
    assert_eq!(stream.found().hits()[0].count(), 1);
}

#[test]
fn a_long_beginning_is_masked_when_it_is_flushed() {
    let canary = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
    let mut stream = scrubber(canary.text(), 4).text();
    assert_eq!(concat(stream.push(canary.text()[..12].to_owned().into())), b"ghp_");
    assert_eq!(concat(stream.flush()), b"********");
    assert!(stream.flush().is_empty());
    assert_eq!(stream.found().partials(), 1);
    assert!(stream.found().hits().is_empty());
}

#[test]
fn the_record_says_which_secret_in_which_form_how_often() {
    let (one, other) = (Canary::with_length("sk-", 64), Canary::with_length("", 64));
    let scrubber = Scrubber::builder()
        .secret(name("token"), &one.secret(), 3)
        .secret(name("refresh_token"), &other.secret(), 0)
        .build()
        .unwrap();
    let mut stream = scrubber.text();
    let hex: String = other.text().bytes().map(|byte| format!("{byte:02x}")).collect();
    stream.push(format!("{} {hex} {}", one.text(), one.text()).into());
    let hits: Vec<_> = stream
        .found()
        .hits()
        .iter()
        .map(|hit| (hit.secret().clone(), hit.form(), hit.place(), hit.count()))
        .collect();
    assert_eq!(
        hits,
        [
            (name("token"), Form::Exact, Place::Body, 2),
            (name("refresh_token"), Form::Hex, Place::Body, 1),
        ]
    );
    assert_eq!((Form::Hex.as_str(), Place::Body.as_str()), ("hex", "body"));
}

#[test]
fn a_secret_that_cannot_be_scrubbed_is_reported() {
    let secret = |len: usize| Secret::new("7".repeat(len));
    let scrubber = Scrubber::builder()
        .secret(name("pin"), &secret(Scrubber::SHORTEST - 1), 0)
        .secret(name("least"), &secret(Scrubber::SHORTEST), 0)
        .secret(name("most"), &secret(Scrubber::LONGEST), 0)
        .secret(name("file"), &secret(Scrubber::LONGEST + 1), 0)
        .build()
        .unwrap();
    let unscrubbed: Vec<_> = scrubber
        .unscrubbed()
        .iter()
        .map(|secret| (secret.secret().clone(), secret.why()))
        .collect();
    assert_eq!(
        unscrubbed,
        [(name("pin"), WhyUnscrubbed::TooShort), (name("file"), WhyUnscrubbed::TooLong)]
    );
    assert_eq!(concat(scrubber.text().push("7777777".into())).len(), 0);
    assert_eq!(concat(scrubber.text().push("7777777!".into())), b"7777777!");
    assert_eq!(concat(scrubber.text().push("77777777!".into())), b"********!");
}

#[test]
fn white_space_at_the_end_is_no_part_of_a_secret() {
    let canary = Canary::with_length("", 64);
    let mut stream = scrubber(&format!("{}\r\n", canary.text()), 0).text();
    assert_eq!(concat(stream.push(format!("{} ", canary.text()).into()))[..64], [b'*'; 64]);
}

#[test]
fn without_secrets_everything_passes() {
    let scrubber = Scrubber::builder().build().unwrap();
    assert!(scrubber.is_empty());
    let piece = Bytes::from_static(b"anything");
    assert_eq!(concat(scrubber.text().push(piece.clone())), piece);
}

#[test]
fn a_prefix_that_covers_the_secret_leaves_eight_bytes() {
    let canary = Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 20);
    let public = public_prefix_len(canary.text(), &canary.secret());
    assert_eq!(public, 20);
    let mut stream = scrubber(canary.text(), public).text();
    let shown = [&canary.text().as_bytes()[..12], b"********"].concat();
    assert_eq!(concat(stream.push(canary.text().to_owned().into())), shown);
    assert_eq!(public_prefix_len("ghp_0", &Secret::new("ghp_1".into())), 4);
}

/// More secrets than the prefilter takes.
#[test]
fn many_secrets_are_all_found() {
    let canaries: Vec<Canary> = (0..40).map(|_| Canary::with_length("k-", 32)).collect();
    let mut builder = Scrubber::builder();
    for (at, canary) in canaries.iter().enumerate() {
        builder = builder.secret(name(&format!("token{at}")), &canary.secret(), 2);
    }
    let scrubber = builder.build().unwrap();
    for canary in &canaries {
        let body = format!("{}{}", "filler ".repeat(30), canary.text());
        let out = concat(scrubber.text().push(body.into()));
        assert!(canary.find_in(&out).is_none());
        assert!(out.ends_with(b"k-********************************"));
    }
}

/// A buffer that says how many of its kind there are.
struct Buffer {
    byte: [u8; 1],
    _counted: Arc<()>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.byte
    }
}

#[test]
fn a_drip_does_not_keep_many_buffers() {
    let canary = Canary::with_length("", 1000);
    let mut stream = scrubber(canary.text(), 0).text();
    let mut out = Vec::new();
    let buffers = Arc::new(());
    for byte in canary.text().bytes() {
        let piece = Bytes::from_owner(Buffer { byte: [byte], _counted: Arc::clone(&buffers) });
        out.extend(concat(stream.push(piece)));
        assert!(Arc::strong_count(&buffers) < 12);
    }
    out.extend(concat(stream.finish()));
    assert_eq!(out, vec![b'*'; 1000]);
}

#[test]
fn nothing_shows_a_secret_in_debug() {
    let canary = Canary::with_length("sk-", 64);
    let builder = Scrubber::builder().secret(name("token"), &canary.secret(), 3);
    let mut text = format!("{builder:?}");
    let scrubber = builder.build().unwrap();
    let mut stream = scrubber.text();
    let output = stream.push(canary.text()[..20].to_owned().into());
    text += &format!("{scrubber:?} {stream:?} {output:?}");
    stream.push(canary.text()[20..].to_owned().into());
    text += &format!("{stream:?} {:?}", stream.found());
    assert!(canary.find_in_str(&text).is_none(), "{text}");
    assert!(text.contains("vendor:test"), "{text}");
}
