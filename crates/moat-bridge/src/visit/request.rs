//! What a visitor sends, read from a socket on which nobody waits.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::misunderstood;
use crate::command::Streams;

/// The most bytes of a request's words.
const MAX_WORDS: u32 = 1 << 20;

/// What has come of a request: three descriptors, and as many bytes as the first four say, which
/// are words, each with a NUL behind it.
#[derive(Debug, Default)]
pub(super) struct Request {
    streams: Vec<OwnedFd>,
    bytes: Vec<u8>,
}

impl Request {
    /// Reads what there is; returns the request when that was the rest of it.
    ///
    /// # Errors
    ///
    /// When it ends before it is complete, or is none.
    pub(super) fn read(
        &mut self,
        stream: &UnixStream,
    ) -> io::Result<Option<(Streams, Vec<OsString>)>> {
        loop {
            let missing = self.missing()?;
            if missing == 0 {
                return self.finish().map(Some);
            }
            let mut part = [0; 4096];
            let part = &mut part[..missing.min(4096)];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let parts = &mut [IoSliceMut::new(part)];
            let length = match recvmsg(stream, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(read) => read.bytes,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    self.streams.extend(descriptors);
                }
            }
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend_from_slice(&part[..length]);
        }
    }

    /// Returns how many bytes are certain to come.
    fn missing(&self) -> io::Result<usize> {
        let Some((length, words)) = self.bytes.split_first_chunk() else {
            return Ok(4 - self.bytes.len());
        };
        match (self.streams.len(), u32::from_be_bytes(*length)) {
            (3, length @ 1..=MAX_WORDS) => Ok(length as usize - words.len()),
            _ => Err(misunderstood()),
        }
    }

    fn finish(&mut self) -> io::Result<(Streams, Vec<OsString>)> {
        let streams = std::mem::take(&mut self.streams);
        let Ok([stdin, stdout, stderr]) = <[OwnedFd; 3]>::try_from(streams) else {
            return Err(misunderstood());
        };
        let words = self.bytes[4..].split(|byte| *byte == 0);
        let mut words: Vec<_> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
        // Behind the last NUL there is nothing.
        words.pop();
        Ok((Streams { stdin, stdout, stderr }, words))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IoSlice, Write};
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    /// A visitor's end, and the bridge's.
    fn pair() -> (UnixStream, UnixStream) {
        let (visitor, bridge) = UnixStream::pair().unwrap();
        bridge.set_nonblocking(true).unwrap();
        (visitor, bridge)
    }

    /// Sends bytes with so many descriptors.
    fn send(visitor: &UnixStream, bytes: &[u8], descriptors: usize) {
        let null = File::open("/dev/null").unwrap();
        let streams = vec![null.as_fd(); descriptors];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&streams));
        let bytes = [IoSlice::new(bytes)];
        sendmsg(visitor, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    #[test]
    fn a_request_is_read_as_it_comes() {
        let (mut visitor, bridge) = pair();
        let mut request = Request::default();
        assert!(request.read(&bridge).unwrap().is_none());
        let bytes = b"\0\0\0\x0bstreams\0ls\0";
        send(&visitor, &bytes[..1], 3);
        for byte in &bytes[1..] {
            assert!(request.read(&bridge).unwrap().is_none());
            visitor.write_all(&[*byte]).unwrap();
        }
        let (_, words) = request.read(&bridge).unwrap().unwrap();
        assert_eq!(words, ["streams", "ls"]);
    }

    #[test]
    fn what_stands_behind_a_request_is_left_alone() {
        let (visitor, bridge) = pair();
        send(&visitor, b"\0\0\0\x02a\0more", 3);
        let (_, words) = Request::default().read(&bridge).unwrap().unwrap();
        assert_eq!(words, ["a"]);
        let mut rest = [0; 8];
        assert_eq!(std::io::Read::read(&mut &bridge, &mut rest).unwrap(), 4);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (bytes, descriptors) in [
            (&b"\0\0\0\x02a\0"[..], 0),
            (b"\0\0\0\x02a\0", 2),
            (b"\0\0\0\0", 3),
            (b"\0\x10\0\x01", 3),
        ] {
            let (visitor, bridge) = pair();
            send(&visitor, bytes, descriptors);
            let error = Request::default().read(&bridge).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bytes:?} {descriptors}");
        }
    }

    #[test]
    fn a_request_without_its_end_is_none() {
        for bytes in [&b"\0\0"[..], b"\0\0\0\x09streams\0"] {
            let (visitor, bridge) = pair();
            send(&visitor, bytes, 3);
            drop(visitor);
            let error = Request::default().read(&bridge).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{bytes:?}");
        }
    }
}
