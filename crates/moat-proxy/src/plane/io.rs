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

/// A stream with bytes before it that were read already.
#[derive(Debug)]
pub(crate) struct Rewind<S> {
    ahead: Bytes,
    io: S,
}

impl<S> Rewind<S> {
    pub(crate) fn new(ahead: Bytes, io: S) -> Self {
        Self { ahead, io }
    }
}

impl<S: AsyncRead + Unpin> Rewind<S> {
    /// Returns the first byte without taking it; `None` at the end.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_empty() {
            let mut buffer = BytesMut::with_capacity(2048);
            self.io.read_buf(&mut buffer).await?;
            self.ahead = buffer.freeze();
        }
        Ok(self.ahead.first().copied())
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
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
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
