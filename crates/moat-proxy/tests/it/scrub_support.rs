//! What the tests of scrubbing share: secrets, encoders of their own, a mask for whole texts.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use moat_provider_core::{Secret, SecretRef};
use moat_proxy::scrub::{Output, Scrubber};
use proptest::prelude::*;

/// Returns the name under which a secret is recorded.
pub(crate) fn name(text: &str) -> SecretRef {
    SecretRef::new(&"vendor:test".parse().unwrap(), text.parse().unwrap())
}

pub(crate) fn scrubber(secret: &str, public: usize) -> Scrubber {
    Scrubber::builder()
        .secret(name("token"), &Secret::new(secret.to_owned()), public)
        .build()
        .unwrap()
}

/// One form of a secret: how it is written, and from where on it is masked.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: Vec<u8>,
    pub(crate) public: usize,
}

/// Writes a secret in the forms that the tests look at.
pub(crate) fn forms(secret: &str, public: usize) -> Vec<Written> {
    let encoders: [fn(&str) -> String; 9] = [
        str::to_owned,
        |text| text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        |text| text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        |text| text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        |text| unreserved(text, |byte| format!("%{byte:02x}")),
        |text| unreserved(text, |byte| format!("%{byte:02X}")),
        |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        |text| text.replace('\\', "\\\\").replace('"', "\\\""),
    ];
    let mut forms: Vec<Written> = encoders
        .into_iter()
        .map(|encode| Written {
            text: encode(secret).into_bytes(),
            public: encode(&secret[..public]).len(),
        })
        .collect();
    for alignment in 0..3 {
        forms.push(base64(&STANDARD_NO_PAD, secret, public, alignment));
        forms.push(base64(&URL_SAFE_NO_PAD, secret, public, alignment));
    }
    forms
}

fn unreserved(text: &str, escape: fn(u8) -> String) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { escape(byte) })
        .collect()
}

/// Finds what of base64 does not depend on the neighbours by changing them.
fn base64(engine: &impl Engine, secret: &str, public: usize, alignment: usize) -> Written {
    let encode = |before: u8, text: &[u8], after: u8| {
        let text = [&[before].repeat(alignment), text, &[after; 3]].concat();
        engine.encode(text).into_bytes()
    };
    let (low, high) = (encode(0, secret.as_bytes(), 0), encode(255, secret.as_bytes(), 255));
    let same: Vec<usize> = (0..low.len()).filter(|at| low[*at] == high[*at]).collect();
    let (from, to) = (same[0], same[same.len() - 1] + 1);
    assert_eq!(same.len(), to - from);
    let hidden = |byte: u8| {
        let tail = vec![byte; secret.len() - public];
        let text = [&secret.as_bytes()[..public], &tail].concat();
        encode(0, &text, byte)[from..to].to_vec()
    };
    let (low_tail, high_tail) = (hidden(0), hidden(255));
    let public = low_tail.iter().zip(&high_tail).take_while(|(one, other)| one == other).count();
    Written { text: low[from..to].to_vec(), public }
}

/// Masks a whole text, slowly.
pub(crate) fn mask(text: &[u8], forms: &[Written]) -> Vec<u8> {
    let mut masked = text.to_vec();
    for form in forms {
        for at in 0..text.len() {
            if text[at..].starts_with(&form.text) {
                masked[at + form.public..at + form.text.len()].fill(b'*');
            }
        }
    }
    masked
}

/// Cuts a text at places that are given as numbers of any size.
pub(crate) fn chunks(text: &[u8], borders: &[usize]) -> Vec<Bytes> {
    let mut borders: Vec<usize> = borders.iter().map(|at| at % (text.len() + 1)).collect();
    borders.extend([0, text.len()]);
    borders.sort_unstable();
    let whole = Bytes::copy_from_slice(text);
    borders.windows(2).map(|pair| whole.slice(pair[0]..pair[1])).collect()
}

pub(crate) fn concat(output: Output) -> Vec<u8> {
    output.into_iter().flatten().collect()
}

/// Whether every slice of an output lies within one piece.
pub(crate) fn lies_in(output: &Output, piece: &[u8]) -> bool {
    let range = piece.as_ptr_range();
    output.iter().all(|slice| {
        let slice = slice.as_ptr_range();
        range.start <= slice.start && slice.end <= range.end
    })
}

/// A secret of printable characters behind a public prefix, and the length of the prefix.
pub(crate) fn secret() -> impl Strategy<Value = (String, usize)> {
    let prefix = prop_oneof![Just(""), Just("ghp_"), Just("sk-ant-oat01-")];
    let tail = prop_oneof![3 => "[!-~]{8,40}", 1 => "[ -~é🔑]{8,20}[!-~]", 1 => "[ab]{8,12}"];
    (prefix, tail).prop_map(|(prefix, tail)| (format!("{prefix}{tail}"), prefix.len()))
}

/// Something a body is made of.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Filler(Vec<u8>),
    /// A form, by number.
    Form(usize),
    /// The beginning of a form.
    Beginning(usize, usize),
    /// Base64 of a text with the secret in it.
    Base64(Vec<u8>, Vec<u8>),
}

pub(crate) fn parts() -> impl Strategy<Value = Vec<Part>> {
    let short = || prop::collection::vec(any::<u8>(), 0..5);
    let part = prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Part::Filler),
        1 => "[ab]{0,30}".prop_map(|text| Part::Filler(text.into_bytes())),
        2 => any::<usize>().prop_map(Part::Form),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(form, len)| Part::Beginning(form, len)),
        1 => (short(), short()).prop_map(|(before, after)| Part::Base64(before, after)),
    ];
    prop::collection::vec(part, 0..8)
}

pub(crate) fn assemble(secret: &str, forms: &[Written], parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        match part {
            Part::Filler(bytes) => body.extend(bytes),
            Part::Form(form) => body.extend(&forms[form % forms.len()].text),
            Part::Beginning(form, len) => {
                let form = &forms[form % forms.len()].text;
                body.extend(&form[..len % form.len()]);
            }
            Part::Base64(before, after) => {
                let text = [before, secret.as_bytes(), after].concat();
                body.extend(URL_SAFE_NO_PAD.encode(text).into_bytes());
            }
        }
    }
    body
}
