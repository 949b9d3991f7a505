//! Bodies: one piece again and again, and text to fill it with.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A body of a known length, made of one piece again and again.
#[derive(Debug)]
pub(crate) struct Repeat {
    piece: Bytes,
    left: u64,
}

impl Repeat {
    pub(crate) fn new(piece: Bytes, length: u64) -> Self {
        Self { piece, left: length }
    }

    pub(crate) fn empty() -> Self {
        Self::new(Bytes::new(), 0)
    }

    /// Returns how many bytes are to come.
    pub(crate) fn len(&self) -> u64 {
        self.left
    }
}

impl Body for Repeat {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body whose pieces come when somebody sends them.
#[derive(Debug)]
pub(crate) struct Arriving(pub(crate) mpsc::Receiver<Bytes>);

impl Body for Arriving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Writes text of a length that looks like the answer of an API: a scrubber has to read all of it.
pub(crate) fn text(length: usize) -> Bytes {
    let mut text = String::from("{\"items\":[");
    let mut state = 1_u64;
    while text.len() < length {
        // Knuth's MMIX generator: any will do that gives the same text each time.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [id, count] = [state >> 16, (state >> 40) % 1000];
        text.push_str(&format!("{{\"id\":\"item_{id:012x}\",\"count\":{count},\"ok\":true}},"));
    }
    text.truncate(length);
    text.into()
}
