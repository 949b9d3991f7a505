//! gzip (RFC 1952), with several members.

use super::{Inflate, Sink};
use crate::Reason;

/// A gzip stream.
///
/// Checksums are the client's to verify. What follows the last member without being one is ignored
/// by common clients, and so here.
pub(super) struct Gzip {
    part: Part,
    flags: u8,
    inflate: Inflate,
    members: bool,
}

/// The parts of a member, in order (RFC 1952, section 2.3).
enum Part {
    /// How many of the ten bytes have come.
    Header(u8),
    ExtraLen,
    ExtraLenHigh(u8),
    Extra(u16),
    Name,
    Comment,
    /// How many bytes of the header's checksum are to come.
    HeaderSum(u8),
    Body,
    /// How many bytes of checksum and length are to come.
    Trailer(u8),
    /// Behind the last member.
    Garbage,
}

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;

impl Gzip {
    pub(super) fn new() -> Self {
        Self { part: Part::Header(0), flags: 0, inflate: Inflate::raw(), members: false }
    }

    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), Reason> {
        let mut rest = input;
        while let Some((byte, after)) = rest.split_first() {
            if matches!(self.part, Part::Body) {
                let used = self.inflate.decode(rest, sink)?;
                rest = &rest[used..];
                if self.inflate.has_ended() {
                    self.inflate.restart();
                    self.part = Part::Trailer(8);
                }
                continue;
            }
            if matches!(self.part, Part::Garbage) {
                break;
            }
            self.step(*byte)?;
            rest = after;
        }
        Ok(())
    }

    /// Whether no member has begun that has not ended.
    pub(super) fn is_complete(&self) -> bool {
        self.members && matches!(self.part, Part::Header(0) | Part::Garbage)
    }

    /// Takes one byte around the compressed data.
    fn step(&mut self, byte: u8) -> Result<(), Reason> {
        self.part = match self.part {
            Part::Header(at) => self.header(at, byte)?,
            Part::ExtraLen => Part::ExtraLenHigh(byte),
            Part::ExtraLenHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.after(FEXTRA),
                len => Part::Extra(len),
            },
            Part::Extra(1) => self.after(FEXTRA),
            Part::Extra(left) => Part::Extra(left - 1),
            Part::Name if byte == 0 => self.after(FNAME),
            Part::Name => Part::Name,
            Part::Comment if byte == 0 => self.after(FCOMMENT),
            Part::Comment => Part::Comment,
            Part::HeaderSum(1) => Part::Body,
            Part::HeaderSum(left) => Part::HeaderSum(left - 1),
            Part::Trailer(1) => {
                self.members = true;
                Part::Header(0)
            }
            Part::Trailer(left) => Part::Trailer(left - 1),
            Part::Body => Part::Body,
            Part::Garbage => Part::Garbage,
        };
        Ok(())
    }

    fn header(&mut self, at: u8, byte: u8) -> Result<Part, Reason> {
        let fits = match at {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            2 => byte == 8,
            3 => byte & 0xe0 == 0,
            _ => true,
        };
        if at == 3 {
            self.flags = byte;
        }
        match (fits, at) {
            (false, 0 | 1) if self.members => Ok(Part::Garbage),
            (false, _) => Err(Reason::UndecodableAnswer),
            (true, 9) => Ok(self.after(0)),
            (true, _) => Ok(Part::Header(at + 1)),
        }
    }

    /// Returns the first part behind this one that the flags announce.
    fn after(&self, flag: u8) -> Part {
        let announced = |next: u8| next > flag && self.flags & next != 0;
        if announced(FEXTRA) {
            Part::ExtraLen
        } else if announced(FNAME) {
            Part::Name
        } else if announced(FCOMMENT) {
            Part::Comment
        } else if self.flags & FHCRC != 0 {
            Part::HeaderSum(2)
        } else {
            Part::Body
        }
    }
}
