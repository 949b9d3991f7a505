//! Zstandard (RFC 8878).

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{BUFFER, Sink};
use crate::Reason;

/// 8 MiB, which is what a sender may ask for (RFC 9659).
const WINDOW_LOG: u32 = 23;

/// Frames of zstd, one after the other.
pub(super) struct Zstd {
    /// `None` when there is no memory for it.
    context: Option<DCtx<'static>>,
    blocks: Blocks,
    buffer: Box<[u8]>,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let context = DCtx::try_create().and_then(|mut context| {
            context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
            Some(context)
        });
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { context, blocks: Blocks::new(), buffer }
    }

    /// Whether no frame has begun that has not ended.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.blocks.part, Part::Field { field: Field::Magic, have: 0, .. })
    }

    pub(super) fn undecoded(&self) -> usize {
        self.blocks.incomplete
    }

    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), Reason> {
        let context = self.context.as_mut().ok_or(Reason::UndecodableAnswer)?;
        self.blocks.pass(input);
        let mut source = InBuffer::around(input);
        loop {
            let mut target = OutBuffer::around(&mut *self.buffer);
            context
                .decompress_stream(&mut target, &mut source)
                .map_err(|_| Reason::UndecodableAnswer)?;
            let written = target.pos();
            if written > 0 {
                sink(&self.buffer[..written])?;
            }
            if written < self.buffer.len() && source.pos() == input.len() {
                return Ok(());
            }
        }
    }
}

/// Follows the blocks, for a block is decoded when all of it is there.
///
/// Without this, one who decodes by hand would read the literals of a block whose end was cut off.
struct Blocks {
    part: Part,
    checksum: bool,
    /// How many bytes of a block that is not complete have come, with its header.
    incomplete: usize,
}

/// The parts of a frame (RFC 8878, section 3.1).
#[derive(Clone, Copy)]
enum Part {
    /// A number of a few bytes, the least significant first.
    Field {
        field: Field,
        number: u32,
        have: u8,
    },
    /// Bytes that say nothing about blocks: the rest of a header, a checksum, a skippable frame.
    Skip(u32, Field),
    Block {
        left: u32,
        last: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Magic,
    SkippableLen,
    Descriptor,
    BlockHeader,
}

impl Field {
    const fn len(self) -> u8 {
        match self {
            Self::Magic | Self::SkippableLen => 4,
            Self::Descriptor => 1,
            Self::BlockHeader => 3,
        }
    }
}

impl Part {
    const fn field(field: Field) -> Self {
        Self::Field { field, number: 0, have: 0 }
    }

    const fn skip(len: u32, next: Field) -> Self {
        if len == 0 { Self::field(next) } else { Self::Skip(len, next) }
    }
}

impl Blocks {
    const fn new() -> Self {
        Self { part: Part::field(Field::Magic), checksum: false, incomplete: 0 }
    }

    fn pass(&mut self, input: &[u8]) {
        let mut rest = input;
        while let Some((byte, after)) = rest.split_first() {
            rest = match self.part {
                Part::Field { field, number, have } => {
                    self.incomplete += usize::from(field == Field::BlockHeader);
                    let number = number | u32::from(*byte) << (8 * have);
                    self.part = match have + 1 {
                        have if have == field.len() => self.after(field, number),
                        have => Part::Field { field, number, have },
                    };
                    after
                }
                Part::Skip(left, next) => {
                    let (skipped, after) = split(rest, left);
                    self.part = Part::skip(left - skipped, next);
                    after
                }
                Part::Block { left, last } => {
                    let (passed, after) = split(rest, left);
                    self.incomplete += passed as usize;
                    self.part = self.block(left - passed, last);
                    after
                }
            };
        }
    }

    fn after(&mut self, field: Field, number: u32) -> Part {
        match field {
            Field::Magic if number & !15 == 0x184D_2A50 => Part::field(Field::SkippableLen),
            Field::Magic => Part::field(Field::Descriptor),
            Field::SkippableLen => Part::skip(number, Field::Magic),
            Field::Descriptor => {
                let single_segment = u32::from(number & 0x20 != 0);
                self.checksum = number & 4 != 0;
                let dictionary = [0, 1, 2, 4][(number & 3) as usize];
                let content = [single_segment, 2, 4, 8][(number >> 6 & 3) as usize];
                Part::skip(1 - single_segment + dictionary + content, Field::BlockHeader)
            }
            Field::BlockHeader => {
                // A block of type 1 is one byte, repeated.
                let len = if number >> 1 & 3 == 1 { 1 } else { number >> 3 };
                self.block(len, number & 1 != 0)
            }
        }
    }

    fn block(&mut self, left: u32, last: bool) -> Part {
        match (left, last) {
            (0, last) => {
                self.incomplete = 0;
                let checksum = if self.checksum { 4 } else { 0 };
                if last {
                    Part::skip(checksum, Field::Magic)
                } else {
                    Part::field(Field::BlockHeader)
                }
            }
            (left, last) => Part::Block { left, last },
        }
    }
}

fn split(bytes: &[u8], most: u32) -> (u32, &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(most);
    (len, &bytes[len as usize..])
}
