//! Content codings, written and read without the code under test.

use std::io::{Read, Write};

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress};

/// How bytes are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Zlib,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    pub(crate) const ALL: [Self; 6] =
        [Self::Identity, Self::Gzip, Self::Zlib, Self::Deflate, Self::Brotli, Self::Zstd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zlib | Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Codes a text whose parts are flushed one by one.
    pub(crate) fn encode(self, parts: &[Vec<u8>], level: u8) -> Vec<u8> {
        let flate = Compression::new(u32::from(level % 10));
        match self {
            Self::Identity => parts.concat(),
            Self::Gzip => write(GzEncoder::new(Vec::new(), flate), parts, GzEncoder::finish),
            Self::Zlib => write(ZlibEncoder::new(Vec::new(), flate), parts, ZlibEncoder::finish),
            Self::Deflate => {
                write(DeflateEncoder::new(Vec::new(), flate), parts, DeflateEncoder::finish)
            }
            Self::Brotli => {
                let quality = u32::from(level % 6);
                let encoder = brotli::CompressorWriter::new(Vec::new(), 4096, quality, 18);
                write(encoder, parts, |encoder| Ok(encoder.into_inner()))
            }
            Self::Zstd => zstd(parts, i32::from(level % 6)),
        }
    }

    /// Decodes what a patient reader could make of a beginning.
    pub(crate) fn read(self, coded: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match self {
            Self::Identity => text.extend(coded),
            Self::Gzip => drop(flate2::read::MultiGzDecoder::new(coded).read_to_end(&mut text)),
            Self::Zlib | Self::Deflate => {
                text = inflate(coded, true);
                text.extend(b"\n");
                text.extend(inflate(coded, false));
            }
            Self::Brotli => drop(brotli::Decompressor::new(coded, 4096).read_to_end(&mut text)),
            Self::Zstd => text = unzstd(coded),
        }
        text
    }
}

fn write<W: Write>(
    mut encoder: W,
    parts: &[Vec<u8>],
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
) -> Vec<u8> {
    for part in parts {
        encoder.write_all(part).expect("a vector takes it");
        encoder.flush().expect("a vector takes it");
    }
    finish(encoder).expect("a vector takes it")
}

/// Inflates as far as it goes.
pub(crate) fn inflate(coded: &[u8], wrapped: bool) -> Vec<u8> {
    let mut decompress = Decompress::new(wrapped);
    let mut text = Vec::new();
    loop {
        text.reserve(64 * 1024);
        let (read, before) = (decompress.total_in() as usize, text.len());
        let rest = &coded[read..];
        let done = decompress.decompress_vec(rest, &mut text, FlushDecompress::Sync);
        let stuck = text.len() == before && decompress.total_in() as usize == read;
        if done.is_err() || stuck || text.len() > (8 << 20) {
            return text;
        }
    }
}

fn zstd(parts: &[Vec<u8>], level: i32) -> Vec<u8> {
    use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective as End};
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(level)).expect("a level");
    let mut coded = Vec::new();
    let last = (&Vec::new(), End::ZSTD_e_end);
    for (part, end) in parts.iter().map(|part| (part, End::ZSTD_e_flush)).chain([last]) {
        let mut source = InBuffer::around(part.as_slice());
        loop {
            let mut buffer = [0; 4096];
            let mut target = OutBuffer::around(&mut buffer[..]);
            let left =
                context.compress_stream2(&mut target, &mut source, end).expect("it compresses");
            let written = target.pos();
            coded.extend(&buffer[..written]);
            if left == 0 && source.pos == part.len() {
                break;
            }
        }
    }
    coded
}

fn unzstd(coded: &[u8]) -> Vec<u8> {
    use zstd_safe::{DCtx, InBuffer, OutBuffer};
    let mut context = DCtx::create();
    let mut source = InBuffer::around(coded);
    let mut text = Vec::new();
    loop {
        let mut buffer = vec![0; 64 * 1024];
        let mut target = OutBuffer::around(&mut buffer[..]);
        let done = context.decompress_stream(&mut target, &mut source);
        let written = target.pos();
        text.extend(&buffer[..written]);
        let all = source.pos == coded.len() && written < buffer.len();
        if done.is_err() || all || text.len() > (8 << 20) {
            return text;
        }
    }
}
