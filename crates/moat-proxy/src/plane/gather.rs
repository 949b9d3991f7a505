//! Small writes on their way to TLS, gathered so that many make one record and one system call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is gathered at most: four TLS records of full length (RFC 8446, section 5.1).
const MOST: usize = 64 * 1024;
/// A buffer in which there was more than this is used again.
const MUCH: usize = 16 * 1024;

/// A stream under HTTP/2 that waits with what it is to send until the other tasks that are ready
/// have run: most of them have frames for it too.
///
/// HTTP/2 flushes after each frame of a body. The first flush only wakes the task again, which puts
/// it behind the others in the queue; the flush in the poll after that is a true one. Nothing waits
/// for anything but tasks that could run anyway.
#[derive(Debug)]
pub(crate) struct Gather<S> {
    io: S,
    held: BytesMut,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next flush may wait.
    Fresh,
    /// The task was woken, to flush when it is polled again.
    Woken,
    /// It is polled again: the next flush is true.
    Due,
}

impl<S> Gather<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, held: BytesMut::new(), state: State::Fresh }
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_bulk = self.held.len() > MUCH;
        while self.held.has_remaining() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(count);
        }
        // The end of something long is short: an idle connection keeps no buffer.
        if is_bulk {
            self.held.clear();
        } else {
            self.held = BytesMut::new();
        }
        self.state = State::Fresh;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 reads in each poll, before it writes.
        if self.state == State::Woken {
            self.state = State::Due;
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if self.held.len() + length > MOST {
            ready!(self.poll_send(cx))?;
            if length > MOST {
                return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
            }
        }
        if self.held.is_empty() && length > MUCH / 2 {
            self.held.reserve(MOST);
        }
        bufs.iter().for_each(|buf| self.held.extend_from_slice(buf));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Fresh if !self.held.is_empty() => {
                self.state = State::Woken;
                cx.waker().wake_by_ref();
                return Poll::Ready(Ok(()));
            }
            State::Woken => return Poll::Ready(Ok(())),
            State::Fresh | State::Due => ready!(self.poll_send(cx))?,
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_one_poll_flushes_in_pieces_goes_out_at_once_in_the_next() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let mut gather = Gather::new(near);
        let mut cx = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut gather);
        for piece in [b"a", b"b"] {
            assert!(stream.as_mut().poll_write(&mut cx, piece).is_ready());
            assert!(stream.as_mut().poll_flush(&mut cx).is_ready());
        }
        let mut seen = [0; 8];
        let mut far_cx = Context::from_waker(Waker::noop());
        let mut buffer = ReadBuf::new(&mut seen);
        assert!(Pin::new(&mut far).poll_read(&mut far_cx, &mut buffer).is_pending());

        let mut nothing = [0; 8];
        _ = stream.as_mut().poll_read(&mut cx, &mut ReadBuf::new(&mut nothing));
        assert!(stream.as_mut().poll_write(&mut cx, b"c").is_ready());
        assert!(stream.as_mut().poll_flush(&mut cx).is_ready());
        let mut all = [0; 3];
        far.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"abc");
    }

    #[tokio::test]
    async fn more_than_a_record_is_not_gathered_and_nothing_overtakes() {
        let (near, mut far) = tokio::io::duplex(256 * 1024);
        let mut gather = Gather::new(near);
        let mut cx = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut gather);
        let long = vec![b'x'; MOST + 1];
        assert!(stream.as_mut().poll_write(&mut cx, b"first").is_ready());
        assert!(stream.as_mut().poll_write(&mut cx, &long).is_ready());
        assert!(stream.as_mut().poll_write(&mut cx, b"last").is_ready());
        assert!(stream.as_mut().poll_shutdown(&mut cx).is_ready());
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 5 + long.len() + 4);
        assert!(all.starts_with(b"firstx") && all.ends_with(b"xlast"));
    }
}
