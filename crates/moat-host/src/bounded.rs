//! Text of bounded length, in buffers that are wiped.

use std::fmt;
use std::io::{self, Read};

use moat_provider_core::{Result, Secret};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// The longest file, standard input or output of a program that is read.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;

/// What was read.
#[derive(Debug)]
pub(crate) enum Bounded {
    /// Everything.
    Whole(Buffer),
    /// More than the limit; what was read is wiped.
    TooLong,
}

/// Bytes that are wiped when dropped and never move in memory: a copy that is left behind would not
/// be wiped.
pub(crate) struct Buffer {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
}

impl Buffer {
    /// Makes an empty buffer for `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        // One more than the limit tells "full" from "too long".
        Self { bytes: Zeroizing::new(Vec::with_capacity(limit + 1)), limit }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.bytes.len() > self.limit
    }

    /// Reads once. 0 bytes are the end, or mean that the buffer is too long already.
    pub(crate) async fn read_from(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        let space = self.limit + 1 - self.bytes.len();
        reader.take(space as u64).read_buf(&mut *self.bytes).await
    }

    /// Takes the bytes out as text, into a buffer of just their length.
    ///
    /// # Errors
    ///
    /// When they are not UTF-8.
    pub(crate) fn into_secret(self) -> Result<Secret> {
        Secret::from_utf8(self.bytes.as_slice().to_vec())
    }

    /// Takes the bytes out as text: those within the limit, with what is not UTF-8 replaced.
    pub(crate) fn into_secret_lossy(self) -> Secret {
        let within = &self.bytes[..self.bytes.len().min(self.limit)];
        Secret::new(String::from_utf8_lossy(within).into_owned())
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

/// Reads to the end, if that comes within the limit.
pub(crate) fn read_bounded(reader: impl Read, limit: usize) -> io::Result<Bounded> {
    let mut buffer = Buffer::new(limit);
    reader.take(limit as u64 + 1).read_to_end(&mut buffer.bytes)?;
    Ok(if buffer.is_too_long() { Bounded::TooLong } else { Bounded::Whole(buffer) })
}
