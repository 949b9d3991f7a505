//! Text in pieces, masked at equal length.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{Cursor, Found, MASK, Output, Place, Scrubber};

/// How many slices are held before they are copied into one: each may keep a large buffer alive.
const MOST_SLICES: usize = 8;

/// Masks the secrets in a text that comes in pieces.
///
/// What is held back between two pieces is the beginning of a secret only, without the vendor's
/// public prefix: a piece whose end is no such beginning comes back at once and as it is. In
/// particular nothing is held behind the empty line that ends a server-sent event.
///
/// When nothing more comes for a moment, or a message ends, [`flush`](Self::flush) gives out what
/// is held.
pub struct ScrubStream {
    scrubber: Scrubber,
    place: Place,
    cursor: Cursor,
    held: VecDeque<Piece>,
    found: Found,
}

enum Piece {
    Text(Bytes),
    /// Bytes of a framing, which are neither scanned nor masked but have their place in the order.
    Framing(Bytes),
}

impl Piece {
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(bytes) | Self::Framing(bytes) => bytes,
        }
    }
}

impl ScrubStream {
    pub(super) fn new(scrubber: &Scrubber, place: Place) -> Self {
        Self {
            scrubber: scrubber.clone(),
            place,
            cursor: scrubber.start(),
            held: VecDeque::new(),
            found: Found::default(),
        }
    }

    /// Takes a piece of the text and returns what may be passed on.
    pub fn push(&mut self, piece: Bytes) -> Output {
        let mut matches = Vec::new();
        self.cursor = self.scrubber.scan(self.cursor, &piece, |end, pattern| {
            self.scrubber.note(pattern, self.place, &mut self.found);
            matches.push((end, pattern.masked));
        });
        let piece = if matches.is_empty() { piece } else { self.mask(&piece, &matches) };
        let keep = self.scrubber.held(self.cursor);
        if self.held.is_empty() && keep == 0 {
            return Output::from(piece);
        }
        self.held.push_back(Piece::Text(piece));
        let output = self.release(keep);
        self.compact();
        output
    }

    /// Gives out what is held, without forgetting it: if it does become a secret, what is still to
    /// come of it is masked.
    ///
    /// For the end of a message, and for a moment in which nothing came. What is held may be the
    /// beginning of a secret indeed. Up to 7 bytes behind the public prefix are shown as they are;
    /// from 8 bytes on it is no accident, and they are masked. So a vendor that sends a secret
    /// byte by byte, with pauses, shows 7 bytes of it.
    pub fn flush(&mut self) -> Output {
        let sure = self.scrubber.sure(self.cursor);
        if sure > 0 && !self.held.is_empty() {
            self.mask_held(sure);
            self.found.add_partial();
        }
        self.release(0)
    }

    /// Ends the text: what is held is no secret, and comes back as it is.
    pub fn finish(&mut self) -> Output {
        self.cursor = self.scrubber.start();
        self.release(0)
    }

    /// Returns how many bytes are held back.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held
            .iter()
            .map(|piece| match piece {
                Piece::Text(bytes) | Piece::Framing(bytes) => bytes.len(),
            })
            .sum()
    }

    /// Returns what was found so far.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    pub(super) fn found_mut(&mut self) -> &mut Found {
        &mut self.found
    }

    /// Takes bytes of a framing, which come behind all that was pushed before.
    pub(super) fn push_framing(&mut self, bytes: Bytes) -> Output {
        if self.held.is_empty() {
            return Output::from(bytes);
        }
        self.held.push_back(Piece::Framing(bytes));
        Output::default()
    }

    /// Masks a piece; also what is held, as far as a match began there.
    fn mask(&mut self, piece: &[u8], matches: &[(usize, usize)]) -> Bytes {
        let mut masked = BytesMut::from(piece);
        let mut before = 0;
        for (end, len) in matches {
            masked[end.saturating_sub(*len)..*end].fill(MASK);
            before = before.max(len.saturating_sub(*end));
        }
        self.mask_held(before);
        masked.freeze()
    }

    /// Masks the last bytes of the text that is held. There are fewer of them when the beginning
    /// was flushed.
    fn mask_held(&mut self, len: usize) {
        let mut left = len;
        for piece in self.held.iter_mut().rev() {
            if left == 0 {
                break;
            }
            if let Piece::Text(bytes) = piece {
                let mut masked = BytesMut::from(&bytes[..]);
                let from = masked.len().saturating_sub(left);
                masked[from..].fill(MASK);
                left -= masked.len() - from;
                *bytes = masked.freeze();
            }
        }
    }

    /// Copies the slices at the end into one when there are many.
    fn compact(&mut self) {
        let text = |piece: &&Piece| matches!(piece, Piece::Text(_));
        let slices = self.held.iter().rev().take_while(text).count();
        if slices <= MOST_SLICES {
            return;
        }
        let mut joined = BytesMut::new();
        for piece in self.held.drain(self.held.len() - slices..) {
            joined.extend_from_slice(&piece.into_bytes());
        }
        self.held.push_back(Piece::Text(joined.freeze()));
    }

    /// Gives out all but this many bytes of text at the end, and the framing around them.
    fn release(&mut self, keep: usize) -> Output {
        let mut first = self.held.len();
        let mut left = keep;
        let mut cut = None;
        while left > 0 && first > 0 {
            first -= 1;
            if let Piece::Text(bytes) = &mut self.held[first] {
                if bytes.len() > left {
                    cut = Some(bytes.split_to(bytes.len() - left));
                }
                left = left.saturating_sub(bytes.len());
            }
        }
        let mut output = Output::default();
        self.held.drain(..first).for_each(|piece| output.push(piece.into_bytes()));
        output.append(cut.map(Output::from).unwrap_or_default());
        output
    }
}

impl fmt::Debug for ScrubStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubStream").field("found", &self.found).finish_non_exhaustive()
    }
}
