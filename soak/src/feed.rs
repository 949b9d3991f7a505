//! A body that is fed while it is sent.
//!
//! The channel of `http-body-util` 0.1.5 is not used: it looks for a frame and for an error in turn,
//! and loses the last frame when that comes, and its sender goes, between the two.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The end that is written to. Dropping it ends the body.
pub(crate) struct Feed(Sender<Frame<Bytes>>);

/// The body.
pub(crate) struct Fed(Receiver<Frame<Bytes>>);

/// Makes a body that takes one frame ahead.
pub(crate) fn feed() -> (Feed, Fed) {
    let (sender, receiver) = channel(1);
    (Feed(sender), Fed(receiver))
}

impl Feed {
    /// Sends data; fails when nobody reads any more.
    pub(crate) async fn data(&self, data: impl Into<Bytes>) -> Result<(), SendError<Frame<Bytes>>> {
        self.0.send(Frame::data(data.into())).await
    }

    /// Sends trailers; fails when nobody reads any more.
    pub(crate) async fn trailers(&self, fields: HeaderMap) -> Result<(), SendError<Frame<Bytes>>> {
        self.0.send(Frame::trailers(fields)).await
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
