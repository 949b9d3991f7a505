//! Bodies whose chunks are signed one by one: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
//!
//! Each chunk is verified and signed anew when it is there as a whole. The new signature is as
//! long as the old one, so lengths stay as they were.
//!
//! Source: S3 API reference, "Signature Calculations for the Authorization Header: Transferring
//! Payload in Multiple Chunks", and the same "with trailing headers".

use bytes::{Buf, Bytes, BytesMut};
use moat_provider_core::{BodySigner, Result};

use super::claim::mangled;
use super::request::Seed;
use super::{EMPTY, sha256};

/// The longest chunk that is held. Clients send 64 KiB to 1 MiB.
const MOST_DATA: usize = 8 * 1024 * 1024;
/// The longest line in front of a chunk: a size, a name and 64 digits.
const MOST_LINE: usize = 256;
/// The longest trailer.
const MOST_TRAILER: usize = 16 * 1024;

const SIGNATURE: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Whether headers follow the last chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailer {
    /// None do.
    Absent,
    /// They do, with a signature of their own.
    Signed,
}

/// Signatures of which each takes in the one before.
struct Chain(Seed);

impl Chain {
    fn text(&self, kind: &str, rest: &str) -> String {
        let Seed { stamp, scope, signature, .. } = &self.0;
        format!("AWS4-HMAC-SHA256-{kind}\n{}\n{scope}\n{signature}\n{rest}", stamp.as_str())
    }

    fn chunk(&self, digest: &str) -> String {
        self.text("PAYLOAD", &format!("{EMPTY}\n{digest}"))
    }

    fn trailer(&self, digest: &str) -> String {
        self.text("TRAILER", digest)
    }

    /// Takes the client's next signature.
    fn verify(&mut self, text: &str, signature: &str) -> Result<()> {
        if !self.0.key.has_signed(text, signature) {
            return Err(mangled("a chunk of its body is not signed with this run's key"));
        }
        self.0.signature = signature.to_owned();
        Ok(())
    }

    fn sign(&mut self, text: &str) -> String {
        self.0.signature = self.0.key.sign(text);
        self.0.signature.clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Chunks,
    /// The last chunk has come: what follows is kept until the body ends.
    Ending,
}

/// Signs chunks anew.
pub(super) struct ChunkSigner {
    client: Chain,
    session: Chain,
    trailer: Trailer,
    state: State,
    pending: BytesMut,
}

impl ChunkSigner {
    /// Begins with the signatures of the head: the client's, and the one that took its place.
    pub(super) fn new(client: Seed, session: Seed, trailer: Trailer) -> Self {
        let (client, session) = (Chain(client), Chain(session));
        Self { client, session, trailer, state: State::Chunks, pending: BytesMut::new() }
    }

    /// Takes one whole chunk from what is pending; `None` when there is not yet one.
    fn chunk(&mut self, out: &mut BytesMut) -> Result<Option<()>> {
        let Some(line) = line_end(&self.pending, MOST_LINE)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&self.pending[..line]).map_err(|_| malformed())?;
        let (size, signature) = text.split_once(SIGNATURE).ok_or_else(malformed)?;
        let len = read_size(size)?;
        let (size, signature) = (size.to_owned(), signature.to_owned());
        let begin = line + 2;
        let end = begin + len + if len == 0 { 0 } else { 2 };
        if self.pending.len() < end {
            self.pending.reserve(end - self.pending.len());
            return Ok(None);
        }
        let digest =
            if len == 0 { EMPTY.into() } else { sha256(&self.pending[begin..begin + len]) };
        self.client.verify(&self.client.chunk(&digest), &signature)?;
        let signature = self.session.sign(&self.session.chunk(&digest));
        for part in [&*size, SIGNATURE, &signature, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        self.pending.advance(begin);
        if len == 0 {
            self.state = State::Ending;
        } else {
            if &self.pending[len..len + 2] != b"\r\n" {
                return Err(malformed());
            }
            out.extend_from_slice(&self.pending.split_to(len + 2));
        }
        Ok(Some(()))
    }

    fn trailer(&mut self) -> Result<Bytes> {
        let text = std::str::from_utf8(&self.pending).map_err(|_| malformed())?.to_owned();
        let (mut canonical, mut kept) = (String::new(), String::new());
        let mut signed: Option<(String, &str)> = None;
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            if content.is_empty() {
                kept.push_str(line);
                continue;
            }
            let (name, value) = content.split_once(':').ok_or_else(malformed)?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            match (&signed, name == TRAILER_SIGNATURE) {
                (None, true) => {
                    let text = self.client.trailer(&sha256(canonical.as_bytes()));
                    self.client.verify(&text, value)?;
                    let text = self.session.trailer(&sha256(canonical.as_bytes()));
                    signed = Some((self.session.sign(&text), value));
                    kept.push_str(line);
                }
                (None, false) => {
                    canonical.push_str(&format!("{name}:{value}\n"));
                    kept.push_str(line);
                }
                // What nobody has signed is not passed on.
                (Some(_), _) => return Err(malformed()),
            }
        }
        let (new, old) = signed.ok_or_else(malformed)?;
        let at = kept.rfind(old).ok_or_else(malformed)?;
        kept.replace_range(at..at + old.len(), &new);
        Ok(kept.into())
    }
}

impl BodySigner for ChunkSigner {
    fn data(&mut self, chunk: Bytes) -> Result<Bytes> {
        self.pending.extend_from_slice(&chunk);
        let mut out = BytesMut::new();
        while self.state == State::Chunks && self.chunk(&mut out)?.is_some() {}
        if self.state == State::Ending && self.pending.len() > MOST_TRAILER {
            return Err(malformed());
        }
        Ok(out.freeze())
    }

    fn end(&mut self) -> Result<Bytes> {
        match (self.state, self.trailer) {
            (State::Chunks, _) => Err(mangled("its body ends within a chunk")),
            (State::Ending, Trailer::Signed) => self.trailer(),
            (State::Ending, Trailer::Absent) => match &*self.pending {
                b"" | b"\r\n" => Ok(self.pending.split().freeze()),
                _ => Err(malformed()),
            },
        }
    }
}

/// Finds the end of a line; `None` when more has to come.
fn line_end(bytes: &[u8], most: usize) -> Result<Option<usize>> {
    let found = bytes.iter().take(most).position(|byte| *byte == b'\r');
    match found {
        Some(at) => match bytes.get(at + 1) {
            Some(b'\n') => Ok(Some(at)),
            Some(_) => Err(malformed()),
            None => Ok(None),
        },
        None if bytes.len() >= most => Err(malformed()),
        None => Ok(None),
    }
}

fn read_size(text: &str) -> Result<usize> {
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match usize::from_str_radix(text, 16) {
        Ok(size) if digits && size <= MOST_DATA => Ok(size),
        Ok(_) if digits => Err(mangled("a chunk of its body is longer than 8 MiB")),
        _ => Err(malformed()),
    }
}

fn malformed() -> moat_provider_core::Error {
    mangled("its body is not of signed chunks, as the head says it is")
}
