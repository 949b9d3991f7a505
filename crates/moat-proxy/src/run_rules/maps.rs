//! Signing, scrubbing and holding, as the data plane's streams see them.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use moat_provider_core::BodySigner;

use crate::plane::seam::{BodyMap, Cut};
use crate::scrub::{self, BodyScrub, Output, WebSocketScrub};

/// How long the beginning of what may become a secret is held back.
const PATIENCE: Duration = Duration::from_millis(50);

/// Signs a request's body while it streams.
pub(super) struct SignMap(pub(super) Box<dyn BodySigner>);

fn signing_failed<E>(_: E) -> Cut {
    Cut::new("signing-failed")
}

impl BodyMap for SignMap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        self.0.data(data).map_err(signing_failed)
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        self.0.end().map_err(signing_failed)
    }
}

impl fmt::Debug for SignMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignMap").finish_non_exhaustive()
    }
}

/// Scrubs an answer's body.
#[derive(Debug)]
pub(super) struct ScrubMap(pub(super) BodyScrub);

impl BodyMap for ScrubMap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        self.0.push(data).map(joined).map_err(cut)
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(joined(self.0.finish()))
    }

    fn patience(&self) -> Option<Duration> {
        (self.0.held_len() > 0).then_some(PATIENCE)
    }

    fn flush(&mut self) -> Result<Bytes, Cut> {
        Ok(joined(self.0.flush()))
    }
}

/// Scrubs what a host says on a WebSocket.
#[derive(Debug)]
pub(super) struct WebSocketMap(pub(super) WebSocketScrub);

impl BodyMap for WebSocketMap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        self.0.push(data).map(joined).map_err(cut)
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(joined(self.0.finish()))
    }

    fn patience(&self) -> Option<Duration> {
        (self.0.held_len() > 0).then_some(PATIENCE)
    }

    fn flush(&mut self) -> Result<Bytes, Cut> {
        Ok(joined(self.0.flush()))
    }
}

/// Closes a stream that cannot be scrubbed.
#[derive(Debug)]
pub(super) struct Closed;

impl BodyMap for Closed {
    fn push(&mut self, _: Bytes) -> Result<Bytes, Cut> {
        Err(Cut::new("unscannable-extension"))
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }
}

/// Makes the whole body of an answer that must not pass as it is.
pub(super) type Finish = Box<dyn FnOnce(Bytes) -> Result<Bytes, Cut> + Send>;

/// Holds a body back until it is complete; a longer one is cut.
pub(super) struct HoldMap {
    pub(super) held: BytesMut,
    pub(super) limit: usize,
    pub(super) finish: Option<Finish>,
}

impl BodyMap for HoldMap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        if self.held.len() + data.len() > self.limit {
            return Err(Cut::new("answer-too-long"));
        }
        self.held.extend_from_slice(&data);
        Ok(Bytes::new())
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        match self.finish.take() {
            Some(finish) => finish(self.held.split().freeze()),
            None => Ok(Bytes::new()),
        }
    }
}

impl fmt::Debug for HoldMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldMap").field("limit", &self.limit).finish_non_exhaustive()
    }
}

fn cut(cut: scrub::Cut) -> Cut {
    Cut::new(cut.reason().as_str()).with_last(joined(cut.into_last()))
}

/// One slice as it is, several copied together.
fn joined(output: Output) -> Bytes {
    let mut slices = output.iter();
    match (slices.next(), slices.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => only.clone(),
        _ => output
            .iter()
            .fold(BytesMut::new(), |mut all, slice| {
                all.extend_from_slice(slice);
                all
            })
            .freeze(),
    }
}
