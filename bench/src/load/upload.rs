//! What clients send: nothing, a long body, or one in chunks that are signed one by one.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::Repeat;
use crate::signature::{Chain, hash};

/// What ends a chunk.
const LINE: &[u8] = b"\r\n";

/// One piece again and again in chunks, each with a signature.
#[derive(Debug)]
pub(crate) struct Signed {
    piece: Bytes,
    hash: String,
    chain: Chain,
    /// How many more pieces there are.
    pieces: u64,
    /// What comes next: the parts of a chunk.
    parts: VecDeque<Bytes>,
    left: u64,
}

impl Signed {
    /// Makes the body of so many pieces.
    pub(crate) fn new(piece: Bytes, pieces: u64, chain: Chain) -> Self {
        // The head of a chunk is of the same length for each, and the last one has no content.
        let [head, last] = [piece.len(), 0].map(|length| chain.clone().head(length, "").len());
        let chunk = head + piece.len() + LINE.len();
        let left = pieces * chunk as u64 + (last + LINE.len()) as u64;
        Self { hash: hash(&piece), piece, chain, pieces, parts: VecDeque::new(), left }
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.parts.is_empty() && self.left > 0 {
            let content = if self.pieces == 0 { Bytes::new() } else { self.piece.clone() };
            let head = match content.len() {
                0 => self.chain.head(0, &hash(b"")),
                length => self.chain.head(length, &self.hash),
            };
            self.pieces = self.pieces.saturating_sub(1);
            let parts = [head, content, Bytes::from_static(LINE)];
            self.parts.extend(parts.into_iter().filter(|part| !part.is_empty()));
        }
        let part = self.parts.pop_front()?;
        self.left -= part.len() as u64;
        Some(part)
    }

    pub(crate) fn len(&self) -> u64 {
        self.left
    }
}

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Upload {
    Plain(Repeat),
    Signed(Box<Signed>),
}

impl Upload {
    pub(crate) fn empty() -> Self {
        Self::Plain(Repeat::empty())
    }

    /// Returns how many bytes are to come.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Plain(body) => body.len(),
            Self::Signed(body) => body.len(),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Plain(body) => Pin::new(body).poll_frame(cx),
            Self::Signed(body) => Poll::Ready(body.next().map(|part| Ok(Frame::data(part)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
