//! WebSocket frames.

use arbitrary::{Arbitrary, Unstructured};
use flate2::{Compress, Compression, FlushCompress};
use http::{HeaderMap, HeaderValue};

use crate::codings::inflate;
use crate::pieces::{self, SECRET, holds};

#[derive(Arbitrary, Debug)]
struct Input {
    lengths: Vec<u8>,
    deflate: bool,
    /// Whether each message is compressed on its own.
    alone: bool,
    level: u8,
    frames: Vec<Item>,
}

#[derive(Arbitrary, Debug)]
enum Item {
    Message { opcode: u8, compressed: bool, fragments: Vec<u8>, payload: Vec<u8>, control: bool },
    Frame { first: u8, masked: bool, wide: u8, payload: Vec<u8> },
    Raw(Vec<u8>),
}

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Frames of a server keep their borders; no message that a client puts together holds the secret,
/// and what held none passes byte for byte.
pub fn check(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut wire = Wire { bytes: Vec::new(), clean: true, plain: true, compress: None };
    for item in &input.frames {
        wire.item(&input, item);
    }
    let mut headers = HeaderMap::new();
    if input.deflate {
        let value = HeaderValue::from_static("permessage-deflate");
        headers.insert("sec-websocket-extensions", value);
    }
    let scrubber = pieces::scrubber(SECRET, 0);
    let pass = |lengths: &[u8]| {
        let mut stream = scrubber.websocket(&headers).expect("a known extension");
        pieces::pass(&mut stream, &pieces::cut(&wire.bytes, lengths))
    };
    let (whole, passed) = (pass(&[]), pass(&input.lengths));
    for passed in [&whole, &passed] {
        assert!(!holds(&passed.bytes, SECRET), "the secret passed as it is");
        for message in read(&passed.bytes, input.deflate) {
            assert!(!holds(&message, SECRET), "the secret is in a message: {:?}", passed.cut);
        }
        if wire.clean && wire.plain {
            assert_eq!(passed.cut, None);
            assert!(passed.bytes == wire.bytes || holds(&wire.bytes, SECRET));
        }
        assert!(passed.cut.is_some() || passed.bytes.len() == wire.bytes.len());
    }
    assert_eq!(whole.cut, passed.cut, "pieces decide");
}

struct Wire {
    bytes: Vec<u8>,
    /// Whether no message holds the secret.
    clean: bool,
    /// Whether all of it is what a server sends.
    plain: bool,
    compress: Option<Compress>,
}

impl Wire {
    fn item(&mut self, input: &Input, item: &Item) {
        match item {
            Item::Message { opcode, compressed, fragments, payload, control } => {
                let payload = pieces::fill(payload, SECRET);
                self.clean &= !holds(&payload, SECRET);
                let compressed = *compressed && input.deflate;
                let payload = if compressed { self.deflate(input, &payload) } else { payload };
                let mut first = (1 + (opcode & 1)) | if compressed { 0x40 } else { 0 };
                for piece in pieces::cut(&payload, &fragments[..fragments.len().min(8)]) {
                    self.frame(first, false, 0, &piece);
                    first = 0;
                    if *control {
                        self.frame(0x89, false, 0, b"ping");
                    }
                }
                self.end_message(first);
            }
            Item::Frame { first, masked, wide, payload } => {
                self.plain = false;
                self.frame(*first, *masked, *wide, &pieces::fill(payload, SECRET));
            }
            Item::Raw(bytes) => {
                self.plain &= bytes.is_empty();
                self.bytes.extend(pieces::fill(bytes, SECRET));
            }
        }
    }

    /// An empty last fragment.
    fn end_message(&mut self, first: u8) {
        debug_assert_eq!(first, 0);
        self.frame(0x80, false, 0, b"");
    }

    fn deflate(&mut self, input: &Input, payload: &[u8]) -> Vec<u8> {
        let level = Compression::new(u32::from(input.level % 10));
        let compress = self.compress.get_or_insert_with(|| Compress::new(level, false));
        if input.alone {
            compress.reset();
        }
        let mut out = Vec::with_capacity(payload.len() * 2 + 1024);
        let before = compress.total_in() as usize;
        loop {
            let read = compress.total_in() as usize - before;
            out.reserve(1024);
            compress
                .compress_vec(&payload[read..], &mut out, FlushCompress::Sync)
                .expect("it compresses");
            if compress.total_in() as usize - before == payload.len() && out.len() < out.capacity()
            {
                break;
            }
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        out
    }

    fn frame(&mut self, first: u8, masked: bool, wide: u8, payload: &[u8]) {
        let mask = if masked { 0x80 } else { 0 };
        self.bytes.push(first);
        match (payload.len(), wide % 3) {
            (len @ 0..=125, 0) => self.bytes.push(mask | len as u8),
            (len @ 0..=0xffff, 0 | 1) => {
                self.bytes.push(mask | 126);
                self.bytes.extend((len as u16).to_be_bytes());
            }
            (len, _) => {
                self.bytes.push(mask | 127);
                self.bytes.extend((len as u64).to_be_bytes());
            }
        }
        if masked {
            self.bytes.extend([0; 4]);
        }
        self.bytes.extend(payload);
    }
}

/// Reads messages as a client does that forgives much; the last one as far as it came.
fn read(bytes: &[u8], deflate: bool) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    // What is compressed together is inflated together.
    let mut compressed_so_far = Vec::new();
    let mut message: Option<(bool, Vec<u8>)> = None;
    let mut rest = bytes;
    while let Some((first, len, after)) = frame(rest) {
        let (payload, after) = after.split_at(len.min(after.len()));
        let complete = payload.len() == len;
        rest = after;
        match first & 0x0f {
            8.. => messages.push(payload.to_vec()),
            opcode => {
                let (compressed, mut text) = match (opcode, message.take()) {
                    (0, Some(begun)) => begun,
                    _ => (deflate && first & 0x40 != 0, Vec::new()),
                };
                text.extend(payload);
                if first & 0x80 == 0 && complete && !rest.is_empty() {
                    message = Some((compressed, text));
                } else if compressed {
                    compressed_so_far.extend(&text);
                    compressed_so_far.extend(TAIL);
                    messages.push(inflate(&compressed_so_far, false));
                    text.extend(TAIL);
                    messages.push(inflate(&text, false));
                } else {
                    messages.push(text);
                }
            }
        }
    }
    messages
}

fn frame(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (len, rest) = match second & 0x7f {
        126 => rest
            .split_first_chunk()
            .map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest))?,
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        len => (u64::from(len), rest),
    };
    let rest = if second & 0x80 != 0 { rest.get(4..)? } else { rest };
    Some((*first, usize::try_from(len).ok()?, rest))
}
