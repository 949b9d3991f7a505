//! Compressed bytes, which pass as they are while a decoded copy is scanned.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;

use super::coding::Coding;
use super::decode::{Decoder, decode_all};
use super::{Cursor, Cut, Found, Output, Place, Scrubber};
use crate::Reason;

/// Up to this many decoded bytes no question is asked.
const EXPANSION_FREE: u64 = 64 << 20;
/// Beyond it a byte may become this many. DEFLATE cannot do more than 1032; brotli and zstd can,
/// but only for what nobody sends.
const EXPANSION_RATIO: u64 = 1100;
/// How much is held at most. A block of zstd is 128 KiB and some; a secret takes far less.
const MOST_HELD: usize = 256 * 1024;

/// Scans compressed bytes.
///
/// Bytes are passed on when what they decode to is no part of a secret. Two things are held back:
/// a block of zstd that is not complete, and bytes behind which 8 or more bytes of a secret stand
/// open. The coded bytes themselves are scanned too: a secret may stand in gzip's file name, in a
/// skippable frame, or behind the end.
pub(super) struct CodedScrub {
    scrubber: Scrubber,
    place: Place,
    decoders: Vec<Decoder>,
    coded: Cursor,
    decoded: Cursor,
    coded_len: u64,
    decoded_len: u64,
    held: VecDeque<Bytes>,
    held_len: usize,
    cut: Option<Reason>,
    found: Found,
}

impl CodedScrub {
    pub(super) fn new(scrubber: &Scrubber, place: Place, codings: &[Coding]) -> Self {
        let decoders = codings.iter().copied().map(Decoder::new).collect();
        Self::with_decoders(scrubber, place, decoders)
    }

    pub(super) fn with_decoders(scrubber: &Scrubber, place: Place, decoders: Vec<Decoder>) -> Self {
        Self {
            scrubber: scrubber.clone(),
            place,
            decoders,
            coded: scrubber.start(),
            decoded: scrubber.start(),
            coded_len: 0,
            decoded_len: 0,
            held: VecDeque::new(),
            held_len: 0,
            cut: None,
            found: Found::default(),
        }
    }

    /// Takes a piece and returns what may be passed on.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        self.inspect(&piece, true)?;
        self.hold(piece);
        if self.scrubber.sure(self.decoded) > 0 {
            return match self.held_len {
                0..=MOST_HELD => Ok(Output::default()),
                // An open secret, and next to nothing decoded since.
                _ => Err(self.cut(self.secret_found())),
            };
        }
        // Only of the first coding is it known which bytes have not been decoded.
        let undecoded = self.decoders.first().map_or(0, Decoder::undecoded);
        Ok(self.release(undecoded))
    }

    /// Ends a message of a stream whose messages are compressed together: decodes the tail that is
    /// not on the wire, and returns all that is held.
    pub(super) fn end_message(&mut self, tail: &[u8]) -> Result<Output, Reason> {
        if !self.decoders.iter().all(Decoder::has_ended) {
            self.inspect(tail, false).map_err(|cut| cut.reason())?;
        }
        Ok(self.finish())
    }

    /// Takes bytes of a framing, which come behind all that was pushed before.
    pub(super) fn push_framing(&mut self, bytes: Bytes) -> Output {
        self.hold(bytes);
        if self.held.len() == 1 { self.release(0) } else { Output::default() }
    }

    /// Returns all that is held: the bytes have ended, and no secret with them.
    pub(super) fn finish(&mut self) -> Output {
        match self.cut {
            Some(_) => Output::default(),
            None => self.release(0),
        }
    }

    pub(super) fn held_len(&self) -> usize {
        self.held_len
    }

    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    fn inspect(&mut self, piece: &[u8], on_wire: bool) -> Result<(), Cut> {
        if let Some(reason) = self.cut {
            return Err(Cut::new(reason));
        }
        match self.scan(piece, on_wire) {
            Ok(()) => Ok(()),
            Err(reason) => Err(self.cut(reason)),
        }
    }

    fn scan(&mut self, piece: &[u8], on_wire: bool) -> Result<(), Reason> {
        let secret_found = self.secret_found();
        let Self { scrubber, place, found, .. } = self;
        let mut hit = false;
        if on_wire {
            self.coded_len += piece.len() as u64;
            self.coded = scrubber.scan(self.coded, piece, |_, pattern| {
                scrubber.note(pattern, *place, found);
                hit = true;
            });
        }
        if hit {
            return Err(secret_found);
        }
        let most = EXPANSION_FREE + EXPANSION_RATIO * self.coded_len;
        decode_all(&mut self.decoders, piece, &mut |text| {
            self.decoded_len += text.len() as u64;
            self.decoded = scrubber.scan(self.decoded, text, |_, pattern| {
                scrubber.note(pattern, *place, found);
                hit = true;
            });
            match (hit, self.decoded_len > most) {
                (true, _) => Err(secret_found),
                (_, true) => Err(Reason::AnswerExpandsTooFar),
                _ => Ok(()),
            }
        })
    }

    fn secret_found(&self) -> Reason {
        match self.place {
            Place::Message => Reason::SecretInCompressedMessage,
            _ => Reason::SecretInCompressedAnswer,
        }
    }

    fn cut(&mut self, reason: Reason) -> Cut {
        self.cut = Some(reason);
        self.held.clear();
        self.held_len = 0;
        Cut::new(reason)
    }

    fn hold(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.held_len += bytes.len();
            self.held.push_back(bytes);
        }
    }

    /// Gives out all but this many bytes at the end.
    fn release(&mut self, keep: usize) -> Output {
        let mut output = Output::default();
        while self.held_len > keep {
            let Some(mut bytes) = self.held.pop_front() else { break };
            let out = bytes.split_to(bytes.len().min(self.held_len - keep));
            self.held_len -= out.len();
            output.push(out);
            if !bytes.is_empty() {
                self.held.push_front(bytes);
            }
        }
        output
    }
}

impl fmt::Debug for CodedScrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodedScrub").field("found", &self.found).finish_non_exhaustive()
    }
}
