//! Streams in pieces.

use bytes::Bytes;
use moat_provider_core::{Secret, SecretRef};
use moat_proxy::scrub::{BodyScrub, Cut, Output, Scrubber, WebSocketScrub};

/// What is looked for, unless the input brings a secret of its own.
pub(crate) const SECRET: &str = "Zq7fuzzedSecretOfAnswers";

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// All that may be passed on, the last bytes of a cut included.
    pub(crate) bytes: Vec<u8>,
    /// Why the stream was cut.
    pub(crate) cut: Option<String>,
}

/// A stream that scrubs.
pub(crate) trait Stream {
    fn push(&mut self, piece: Bytes) -> Result<Output, Cut>;
    fn finish(&mut self) -> Output;
}

impl Stream for BodyScrub {
    fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        self.push(piece)
    }

    fn finish(&mut self) -> Output {
        self.finish()
    }
}

impl Stream for WebSocketScrub {
    fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        self.push(piece)
    }

    fn finish(&mut self) -> Output {
        self.finish()
    }
}

pub(crate) fn scrubber(secret: &str, public: usize) -> Scrubber {
    let name = SecretRef::token(&"vendor:fuzz".parse().expect("a key"));
    let secret = Secret::new(secret.to_owned());
    Scrubber::builder().secret(name, &secret, public).build().expect("a scrubber")
}

/// Cuts a text into pieces of these lengths, and the rest.
pub(crate) fn cut(text: &[u8], lengths: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(text);
    let mut pieces: Vec<Bytes> = Vec::new();
    for len in lengths {
        pieces.push(rest.split_to(usize::from(*len).min(rest.len())));
    }
    pieces.push(rest);
    pieces
}

/// Pushes pieces through a stream.
pub(crate) fn pass(stream: &mut impl Stream, pieces: &[Bytes]) -> Passed {
    let mut bytes = Vec::new();
    for piece in pieces {
        match stream.push(piece.clone()) {
            Ok(output) => bytes.extend(output.into_iter().flatten()),
            Err(cut) => {
                let reason = cut.reason().to_string();
                bytes.extend(cut.into_last().into_iter().flatten());
                assert!(stream.push(Bytes::from_static(b"x")).is_err(), "a cut stream goes on");
                assert!(stream.finish().is_empty(), "a cut stream has a rest");
                return Passed { bytes, cut: Some(reason) };
            }
        }
    }
    bytes.extend(stream.finish().into_iter().flatten());
    Passed { bytes, cut: None }
}

pub(crate) fn holds(text: &[u8], secret: &str) -> bool {
    text.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// Replaces each `SECRET` of a text by the secret.
pub(crate) fn fill(text: &[u8], secret: &str) -> Vec<u8> {
    const TOKEN: &[u8] = b"SECRET";
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(TOKEN) {
            out.extend(secret.as_bytes());
            at += TOKEN.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}
