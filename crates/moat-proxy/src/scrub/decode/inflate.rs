//! DEFLATE (RFC 1951), bare or in zlib's wrapper (RFC 1950).

use flate2::{Decompress, FlushDecompress, Status};

use super::{BUFFER, Sink};
use crate::Reason;

/// A DEFLATE stream.
pub(super) struct Inflate {
    /// Whether the first two bytes say how it is wrapped.
    wrapping: Wrapping,
    decompress: Decompress,
    buffer: Box<[u8]>,
    ended: bool,
}

enum Wrapping {
    Known,
    /// `deflate` means zlib's wrapper (RFC 9110, section 8.4.1.2), and some servers leave it out.
    Unknown,
    First(u8),
}

impl Inflate {
    pub(super) fn raw() -> Self {
        Self::new(Wrapping::Known)
    }

    pub(super) fn zlib_or_raw() -> Self {
        Self::new(Wrapping::Unknown)
    }

    fn new(wrapping: Wrapping) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { wrapping, decompress: Decompress::new(false), buffer, ended: false }
    }

    /// Begins anew, without a wrapper and a window.
    pub(super) fn restart(&mut self) {
        self.decompress.reset(false);
        self.ended = false;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Decodes a piece, and returns how many bytes of it belong to the stream.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<usize, Reason> {
        match (&self.wrapping, input) {
            (Wrapping::Known, _) => self.inflate(input, sink),
            (_, []) => Ok(0),
            (Wrapping::Unknown, [first]) => {
                self.wrapping = Wrapping::First(*first);
                Ok(1)
            }
            (Wrapping::Unknown, [first, second, ..]) => {
                self.set_wrapping([*first, *second]);
                self.inflate(input, sink)
            }
            (Wrapping::First(first), [second, ..]) => {
                let first = *first;
                self.set_wrapping([first, *second]);
                self.inflate(&[first], sink)?;
                self.inflate(input, sink)
            }
        }
    }

    /// Decodes a piece of several streams, each of which begins where the one before ended
    /// (RFC 7692, section 7.2.3.4). It is assumed not to refer back to that one.
    pub(super) fn decode_several(
        &mut self,
        input: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), Reason> {
        let mut rest = input;
        while !rest.is_empty() {
            if self.ended {
                self.restart();
            }
            let used = self.decode(rest, sink)?;
            if used == 0 && !self.ended {
                return Err(Reason::UndecodableAnswer);
            }
            rest = &rest[used..];
        }
        Ok(())
    }

    /// RFC 1950, section 2.2: the method is 8, the window at most 32 KiB, and the two bytes are a
    /// multiple of 31.
    fn set_wrapping(&mut self, header: [u8; 2]) {
        let zlib = header[0] & 0x8f == 8 && u16::from_be_bytes(header).is_multiple_of(31);
        self.decompress.reset(zlib);
        self.wrapping = Wrapping::Known;
    }

    fn inflate(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<usize, Reason> {
        let mut used = 0;
        while !self.ended {
            let (before_in, before_out) = (self.decompress.total_in(), self.decompress.total_out());
            let status = self
                .decompress
                .decompress(&input[used..], &mut self.buffer, FlushDecompress::None)
                .map_err(|_| Reason::UndecodableAnswer)?;
            let read = count(self.decompress.total_in() - before_in);
            let written = count(self.decompress.total_out() - before_out);
            used += read;
            if written > 0 {
                sink(&self.buffer[..written])?;
            }
            match status {
                Status::StreamEnd => self.ended = true,
                // The buffer may have been full: only when it was not, all is decoded.
                _ if written == self.buffer.len() => {}
                _ if read == 0 || used == input.len() => break,
                _ => {}
            }
        }
        Ok(used)
    }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
