//! Compressed bodies that are there as a whole.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::coding::Codings;
use super::decode::{Decoder, decode_all};
use crate::Reason;

/// Undoes the codings of an answer's whole body; one without a coding comes back as it is.
///
/// `None` when a coding has an unknown name, when the bytes are not what its name says, and when
/// more than `limit` bytes come out.
#[must_use]
pub fn decode_whole(
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
    limit: usize,
) -> Option<Bytes> {
    let codings = match Codings::of_answer(status, headers) {
        Codings::Identity => return Some(body).filter(|body| body.len() <= limit),
        Codings::Known(codings) => codings,
        Codings::Unknown(_) => return None,
    };
    let mut decoders: Vec<_> = codings.into_iter().map(Decoder::new).collect();
    let mut decoded = BytesMut::new();
    decode_all(&mut decoders, &body, &mut |piece| {
        if decoded.len() + piece.len() > limit {
            return Err(Reason::AnswerExpandsTooFar);
        }
        decoded.extend_from_slice(piece);
        Ok(())
    })
    .ok()?;
    decoders.iter().all(Decoder::is_complete).then(|| decoded.freeze())
}
