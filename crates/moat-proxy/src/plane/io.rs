//! Byte streams: a client's socket, and one whose first bytes were read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;
use tokio_util::io::poll_read_buf;

use crate::plane::linger::Linger;

/// A client's connection.
pub(crate) type Socket = Either<TcpStream, UnixStream>;

/// Passes what is written to a stream on to its field `io`; the shutdown is the stream's own.
macro_rules! write_through {
    () => {
        fn poll_write(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
            buf: &[u8],
        ) -> ::std::task::Poll<::std::io::Result<usize>> {
            ::std::pin::Pin::new(&mut self.io).poll_write(cx, buf)
        }

        fn poll_write_vectored(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
            bufs: &[::std::io::IoSlice<'_>],
        ) -> ::std::task::Poll<::std::io::Result<usize>> {
            ::std::pin::Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            self.io.is_write_vectored()
        }

        fn poll_flush(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::io::Result<()>> {
            ::std::pin::Pin::new(&mut self.io).poll_flush(cx)
        }
    };
}
/// Passes what is read from a stream's field `io` on.
macro_rules! read_through {
    () => {
        fn poll_read(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
            buf: &mut ::tokio::io::ReadBuf<'_>,
        ) -> ::std::task::Poll<::std::io::Result<()>> {
            ::std::pin::Pin::new(&mut self.io).poll_read(cx, buf)
        }
    };
}
pub(crate) use {read_through, write_through};

/// What is read at once of a stream that has much to say.
const BULK: usize = 64 * 1024;
/// Who asks for less than this is told nothing by getting all of it.
const LEAST: usize = 4096;

/// A stream with bytes before it that were read already.
///
/// TLS asks for 4 KiB at a time. Once it gets as much as it asked for, it is given what is read here
/// in larger pieces, which saves most of the system calls of a long body.
#[derive(Debug)]
pub(crate) struct Rewind<S> {
    ahead: BytesMut,
    is_bulk: bool,
    io: S,
}

impl<S> Rewind<S> {
    pub(crate) fn new(ahead: Bytes, io: S) -> Self {
        Self { ahead: ahead.into(), is_bulk: false, io }
    }
}

impl<S: AsyncRead + Unpin> Rewind<S> {
    /// Returns the first byte without taking it; `None` at the end.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_empty() {
            self.ahead.reserve(2048);
            self.io.read_buf(&mut self.ahead).await?;
        }
        Ok(self.ahead.first().copied())
    }

    /// Reads ahead; `false` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.ahead.clear();
        self.ahead.reserve(BULK);
        let count = ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut self.ahead))?;
        // The end of something long is short: an idle stream keeps no buffer.
        self.is_bulk = count > BULK / 8;
        Poll::Ready(Ok(count > 0))
    }
}

/// Takes a client's stream back from hyper, with what it had read beyond the request. What is not
/// such a stream, but one of HTTP/2, is handed back.
pub(crate) fn into_stream<S>(upgraded: Upgraded) -> Result<Rewind<S>, Upgraded>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let parts = upgraded.downcast::<TokioIo<Linger<S>>>()?;
    Ok(Rewind::new(parts.read_buf, parts.io.into_inner().into_inner()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewind<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead.is_empty() && this.is_bulk && buf.remaining() < BULK {
            if !ready!(this.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        } else if this.ahead.is_empty() {
            this.ahead = BytesMut::new();
            let asked = buf.remaining();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            this.is_bulk = asked >= LEAST && buf.remaining() == 0;
            return Poll::Ready(Ok(()));
        }
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewind<S> {
    write_through!();

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
