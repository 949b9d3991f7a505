//! Decoders that take their input in pieces and give all that it yields at once.
//!
//! Each holds its window and a small buffer, whatever comes: 32 KiB for gzip and deflate, 16 MiB at
//! most for brotli, 8 MiB for zstd (RFC 9659).

mod brotli;
mod gzip;
mod inflate;
mod zstd;

use self::{brotli::Brotli, gzip::Gzip, inflate::Inflate, zstd::Zstd};
use super::coding::Coding;
use crate::Reason;

/// How much is decoded before it is handed on.
const BUFFER: usize = 16 * 1024;

/// Takes decoded bytes; an error ends the decoding.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Reason> + 'a;

/// One content coding that is being undone.
pub(super) struct Decoder(Kind);

enum Kind {
    Gzip(Gzip),
    Deflate(Inflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
    /// DEFLATE streams one after the other, as messages of a WebSocket are.
    Messages(Inflate),
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        Self(match coding {
            Coding::Gzip => Kind::Gzip(Gzip::new()),
            Coding::Deflate => Kind::Deflate(Inflate::zlib_or_raw()),
            Coding::Brotli => Kind::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => Kind::Zstd(Zstd::new()),
        })
    }

    /// Undoes what `permessage-deflate` does (RFC 7692, section 7.2).
    pub(super) fn messages() -> Self {
        Self(Kind::Messages(Inflate::raw()))
    }

    /// Decodes a piece.
    ///
    /// # Errors
    ///
    /// [`Reason::UndecodableAnswer`], and those of the sink.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), Reason> {
        match &mut self.0 {
            Kind::Gzip(gzip) => gzip.decode(input, sink),
            Kind::Deflate(inflate) => inflate.decode(input, sink).map(drop),
            Kind::Brotli(brotli) => brotli.decode(input, sink),
            Kind::Zstd(zstd) => zstd.decode(input, sink),
            Kind::Messages(inflate) => inflate.decode_several(input, sink),
        }
    }

    /// Whether a stream of [`messages`](Self::messages) has ended, and none has begun since.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&self.0, Kind::Messages(inflate) if inflate.has_ended())
    }

    /// Whether the input may end here.
    pub(super) fn is_complete(&self) -> bool {
        match &self.0 {
            Kind::Gzip(gzip) => gzip.is_complete(),
            Kind::Deflate(inflate) | Kind::Messages(inflate) => inflate.has_ended(),
            Kind::Brotli(brotli) => brotli.is_complete(),
            Kind::Zstd(zstd) => zstd.is_complete(),
        }
    }

    /// Returns how many of the last bytes of the input have not been decoded, for more have to
    /// come first.
    pub(super) fn undecoded(&self) -> usize {
        match &self.0 {
            Kind::Zstd(zstd) => zstd.undecoded(),
            _ => 0,
        }
    }
}

/// Undoes codings one after the other.
pub(super) fn decode_all(
    decoders: &mut [Decoder],
    input: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), Reason> {
    match decoders.split_first_mut() {
        None => sink(input),
        Some((first, rest)) => first.decode(input, &mut |piece| decode_all(rest, piece, sink)),
    }
}
