//! Text that is not compressed.

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use moat_proxy::scrub::Scrubber;

use crate::pieces::{self, holds};

#[derive(Arbitrary, Debug)]
struct Input {
    lengths: Vec<u8>,
    secret: String,
    public: u8,
    flushes: bool,
    form: u8,
    text: Vec<u8>,
}

/// Text in pieces is masked like the whole, at equal length, and holds no secret any more.
pub fn check(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let scrubber = pieces::scrubber(&input.secret, usize::from(input.public));
    let secret = input.secret.trim_end();
    let text = pieces::fill(&input.text, &written(secret, input.form));
    let whole = passed(&scrubber, &text, &[], false);
    assert_eq!(whole.len(), text.len());
    assert_eq!(passed(&scrubber, &text, &input.lengths, false), whole);
    let looked_for = (Scrubber::SHORTEST..=Scrubber::LONGEST).contains(&secret.len());
    // What is masked may itself make up a secret of stars.
    if looked_for && !secret.contains('*') {
        for form in 0..3 {
            assert!(!holds(&whole, &written(secret, form)), "form {form} is left");
        }
        if input.flushes {
            let flushed = passed(&scrubber, &text, &input.lengths, true);
            assert_eq!(flushed.len(), text.len());
            assert!(!holds(&flushed, secret), "a flush let it pass");
        }
    }
    if !looked_for {
        assert_eq!(whole, text);
    }
}

fn written(secret: &str, form: u8) -> String {
    match form % 6 {
        0 => secret.to_owned(),
        1 => secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        2 => secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        3 => STANDARD_NO_PAD.encode(format!("user:{secret}")),
        4 => URL_SAFE_NO_PAD.encode(secret),
        _ => serde_json::Value::from(secret).to_string(),
    }
}

fn passed(scrubber: &Scrubber, text: &[u8], lengths: &[u8], flushes: bool) -> Vec<u8> {
    let mut stream = scrubber.text();
    let mut out = Vec::new();
    for piece in pieces::cut(text, lengths) {
        out.extend(stream.push(piece).into_iter().flatten());
        if flushes {
            out.extend(stream.flush().into_iter().flatten());
            assert_eq!(stream.held_len(), 0);
        }
    }
    out.extend(stream.finish().into_iter().flatten());
    out
}
