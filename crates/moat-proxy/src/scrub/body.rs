//! Bodies of answers, in whatever coding they come.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::coded::CodedScrub;
use super::coding::Codings;
use super::grpc::GrpcScrub;
use super::{Cut, Found, Output, Place, ScrubStream, Scrubber};

/// Scrubs one answer's body.
///
/// What it does follows from the head: text is masked, gzip, deflate, brotli and zstd (also several
/// around one another) are scanned and cut, gRPC's messages are taken one by one. A body in a
/// coding of another name passes as it is and is scanned as it is, and [`Found::unscanned`] names
/// the coding: objects are stored with all kinds of names there, and a client that was not offered
/// a coding seldom understands it. [`restrict_accept_encoding`](super::restrict_accept_encoding)
/// keeps honest servers from sending one.
///
/// A body that is not what its coding's name says is cut where that shows: what a client that takes
/// it less strictly makes of the rest cannot be told.
#[derive(Debug)]
pub struct BodyScrub(Kind);

#[derive(Debug)]
enum Kind {
    Text(ScrubStream),
    Coded(CodedScrub),
    Grpc(GrpcScrub),
}

impl Scrubber {
    /// Begins to scrub the body that follows this head.
    #[must_use]
    pub fn body(&self, status: StatusCode, headers: &HeaderMap) -> BodyScrub {
        let text = || ScrubStream::new(self, Place::Body);
        BodyScrub(match Codings::of_answer(status, headers) {
            Codings::Identity => {
                GrpcScrub::of_answer(self, headers).map_or_else(|| Kind::Text(text()), Kind::Grpc)
            }
            Codings::Known(codings) => Kind::Coded(CodedScrub::new(self, Place::Body, &codings)),
            Codings::Unknown(name) => {
                let mut text = text();
                text.found_mut().add_unscanned(&name);
                Kind::Text(text)
            }
        })
    }

    /// Begins to scrub a text that is not compressed.
    #[must_use]
    pub fn text(&self) -> ScrubStream {
        ScrubStream::new(self, Place::Body)
    }
}

impl BodyScrub {
    /// Takes a piece of the body and returns what may be passed on.
    ///
    /// # Errors
    ///
    /// A [`Cut`]: the stream has to end with an error, so that the client does not take what it got
    /// for the whole. Every later call returns the same.
    pub fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        match &mut self.0 {
            Kind::Text(text) => Ok(text.push(piece)),
            Kind::Coded(coded) => coded.push(piece),
            Kind::Grpc(grpc) => grpc.push(piece),
        }
    }

    /// Gives out what is held, for a moment in which nothing came; see [`ScrubStream::flush`].
    ///
    /// Of a compressed body nothing: what is held there is of no use to a client, or too much of a
    /// secret to be shown.
    pub fn flush(&mut self) -> Output {
        match &mut self.0 {
            Kind::Text(text) => text.flush(),
            Kind::Coded(_) => Output::default(),
            Kind::Grpc(grpc) => grpc.flush(),
        }
    }

    /// Ends the body: what is held comes back as it is. After a cut there is nothing.
    pub fn finish(&mut self) -> Output {
        match &mut self.0 {
            Kind::Text(text) => text.finish(),
            Kind::Coded(coded) => coded.finish(),
            Kind::Grpc(grpc) => grpc.finish(),
        }
    }

    /// Returns how many bytes are held back. When there are some, and nothing comes for a moment,
    /// the caller flushes once; it may get nothing.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.0 {
            Kind::Text(text) => text.held_len(),
            Kind::Coded(coded) => coded.held_len(),
            Kind::Grpc(grpc) => grpc.held_len(),
        }
    }

    /// Returns what was found so far.
    #[must_use]
    pub fn found(&self) -> &Found {
        match &self.0 {
            Kind::Text(text) => text.found(),
            Kind::Coded(coded) => coded.found(),
            Kind::Grpc(grpc) => grpc.found(),
        }
    }
}
