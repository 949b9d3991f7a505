//! What a scrubbing stream hands back.

use std::fmt;
use std::iter::Chain;
use std::{option, vec};

use bytes::Bytes;

use crate::Reason;

/// Bytes that may be passed on, in order.
///
/// Slices of what was pushed wherever nothing had to be masked. One slice needs no allocation.
#[derive(Clone, Default)]
pub struct Output {
    first: Option<Bytes>,
    rest: Vec<Bytes>,
}

impl Output {
    /// Whether there is nothing to pass on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Returns how many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Iterates over the slices. None of them is empty.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.first.is_none() {
            self.first = Some(bytes);
        } else {
            self.rest.push(bytes);
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        other.into_iter().for_each(|bytes| self.push(bytes));
    }

    /// Replaces slices that make up the whole of a piece, unchanged, by the piece itself.
    pub(super) fn or_whole(self, piece: Bytes, unchanged: bool) -> Self {
        if unchanged && self.len() == piece.len() { Self::from(piece) } else { self }
    }

    /// Keeps the first bytes only.
    pub(super) fn truncate(&mut self, len: usize) {
        let mut left = len;
        for mut bytes in std::mem::take(self) {
            bytes.truncate(left);
            left -= bytes.len();
            self.push(bytes);
        }
    }
}

impl From<Bytes> for Output {
    fn from(bytes: Bytes) -> Self {
        let mut output = Self::default();
        output.push(bytes);
        output
    }
}

impl IntoIterator for Output {
    type Item = Bytes;
    type IntoIter = Chain<option::IntoIter<Bytes>, vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The end of a stream that must not go on. Nothing that was pushed and has not come back as
/// [`Output`] may be passed on.
#[derive(Debug)]
pub struct Cut {
    reason: Reason,
    last: Output,
}

impl Cut {
    pub(super) fn new(reason: Reason) -> Self {
        Self { reason, last: Output::default() }
    }

    pub(super) fn with_last(reason: Reason, last: Output) -> Self {
        Self { reason, last }
    }

    /// Returns why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns what is sent before the stream is closed: for a WebSocket the frames before the
    /// offending one, and a Close frame where one fits; for other streams nothing.
    #[must_use]
    pub fn into_last(self) -> Output {
        self.last
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer was cut: {}", self.reason)
    }
}

impl std::error::Error for Cut {}
