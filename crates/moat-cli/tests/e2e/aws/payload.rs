//! Bodies as S3 takes them: plain, or in chunks that may be signed one by one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ring::digest::{Context, SHA256};

use super::verify::Claim;

/// Longer bodies are counted and hashed, and not kept.
const KEPT: u64 = 64 * 1024 * 1024;

/// What has arrived.
pub(super) struct Received {
    /// What was sent, if it is not too long.
    pub(super) content: Bytes,
    pub(super) length: u64,
    pub(super) hash: String,
    /// The chunks in order: signature and hash.
    chunks: Vec<(String, String)>,
    trailer: Vec<(String, String)>,
}

impl Received {
    /// Reads a body; `None` of one that breaks off.
    pub(super) async fn read(headers: &HeaderMap, mut body: Incoming) -> Option<Self> {
        let field = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let coding = field("content-encoding").unwrap_or_default();
        let is_chunked = coding.split(',').any(|coding| coding.trim() == "aws-chunked");
        let mut sink = Sink::new();
        let mut chunks = Chunks::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            if is_chunked { chunks.push(data, &mut sink) } else { sink.push(&data) }
        }
        let stated = field("x-amz-decoded-content-length").or_else(|| field("content-length"));
        if let Some(stated) = stated {
            assert_eq!(stated, sink.length.to_string(), "the length that was stated");
        }
        let trailer = chunks.trailer(is_chunked);
        let checksum = field("x-amz-checksum-crc32").or_else(|| {
            trailer
                .iter()
                .find(|(name, _)| name == "x-amz-checksum-crc32")
                .map(|(_, value)| value.clone())
        });
        if let Some(checksum) = checksum.filter(|_| sink.length <= KEPT) {
            assert_eq!(checksum, STANDARD.encode(crc32(&sink.kept).to_be_bytes()), "the checksum");
        }
        let hash = hex(sink.hash.finish().as_ref());
        let content = sink.kept.freeze();
        Some(Self { content, length: sink.length, hash, chunks: chunks.seen, trailer })
    }

    /// Returns the strings that the chunks' signatures sign (S3 API reference, "Transferring
    /// Payload in Multiple Chunks"), and those signatures.
    pub(super) fn chain(&self, claim: &Claim) -> (Vec<String>, Vec<String>) {
        let (mut strings, mut signatures) = (Vec::new(), Vec::new());
        let Claim { stamp, region, service, .. } = claim;
        let scope = format!("{stamp}\n{}/{region}/{service}/aws4_request", &stamp[..8]);
        let mut last = claim.signature.clone();
        for (signature, hash) in self.chunks.iter().filter(|(signature, _)| !signature.is_empty()) {
            let nothing = hash_of(b"");
            strings.push(format!("AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{last}\n{nothing}\n{hash}"));
            signatures.push(signature.clone());
            last.clone_from(signature);
        }
        let is_signature = |name: &str| name == "x-amz-trailer-signature";
        if let Some((_, signature)) = self.trailer.iter().find(|(name, _)| is_signature(name)) {
            let lines = self.trailer.iter().filter(|(name, _)| !is_signature(name));
            let lines: String = lines.map(|(name, value)| format!("{name}:{value}\n")).collect();
            let hash = hash_of(lines.as_bytes());
            strings.push(format!("AWS4-HMAC-SHA256-TRAILER\n{scope}\n{last}\n{hash}"));
            signatures.push(signature.clone());
        }
        (strings, signatures)
    }
}

/// Where content goes.
struct Sink {
    kept: BytesMut,
    length: u64,
    hash: Context,
}

impl Sink {
    fn new() -> Self {
        Self { kept: BytesMut::new(), length: 0, hash: Context::new(&SHA256) }
    }

    fn push(&mut self, data: &[u8]) {
        self.length += data.len() as u64;
        self.hash.update(data);
        if self.length <= KEPT {
            self.kept.extend_from_slice(data);
        }
    }
}

/// Takes chunks apart.
#[derive(Default)]
struct Chunks {
    pending: BytesMut,
    /// The chunk that is arriving: its signature, its hash so far, and what is missing of it.
    open: Option<(String, Option<Context>, usize)>,
    seen: Vec<(String, String)>,
    is_last: bool,
}

impl Chunks {
    fn push(&mut self, data: Bytes, sink: &mut Sink) {
        self.pending.extend_from_slice(&data);
        while !self.is_last && self.step(sink) {}
    }

    /// Takes the next piece; `false` when more has to come first.
    fn step(&mut self, sink: &mut Sink) -> bool {
        match &mut self.open {
            None => {
                let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") else {
                    return false;
                };
                let line = String::from_utf8(self.pending.split_to(end).to_vec()).unwrap();
                self.pending.advance(2);
                let (size, signature) = line.split_once(";chunk-signature=").unwrap_or((&line, ""));
                let size = usize::from_str_radix(size, 16).unwrap();
                if size == 0 {
                    self.is_last = true;
                    self.seen.push((signature.to_owned(), hash_of(b"")));
                } else {
                    let hash = (!signature.is_empty()).then(|| Context::new(&SHA256));
                    self.open = Some((signature.to_owned(), hash, size));
                }
            }
            Some((signature, hash, 0)) => {
                if self.pending.len() < 2 {
                    return false;
                }
                assert_eq!(&self.pending.split_to(2)[..], b"\r\n", "chunks end with a line");
                let hash = hash.take().map(|hash| hex(hash.finish().as_ref()));
                self.seen.push((signature.clone(), hash.unwrap_or_default()));
                self.open = None;
            }
            Some((_, hash, missing)) => {
                let part = self.pending.split_to(self.pending.len().min(*missing));
                if part.is_empty() {
                    return false;
                }
                *missing -= part.len();
                if let Some(hash) = hash {
                    hash.update(&part);
                }
                sink.push(&part);
            }
        }
        true
    }

    fn trailer(&self, is_chunked: bool) -> Vec<(String, String)> {
        assert_eq!(self.is_last, is_chunked, "the last chunk has arrived");
        let text = String::from_utf8(self.pending.to_vec()).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

pub(super) fn hash_of(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the checksum of ISO 3309, which frames of event streams have too.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
