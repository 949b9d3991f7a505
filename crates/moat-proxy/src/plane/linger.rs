//! Connections whose other side stopped listening, or stopped talking, before an answer is through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::plane::io::{read_through, write_through};

/// How long a client's bytes are read after the end of what it is sent.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client's stream. When it is shut down, what the client still sends is read and dropped for a
/// while: closing a socket with unread bytes resets it, and a reset can destroy the answer before
/// the client has read it (RFC 9112, section 9.6).
#[derive(Debug)]
pub(crate) struct Linger<S> {
    io: S,
    limit: Option<Pin<Box<Sleep>>>,
}

impl<S> Linger<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, limit: None }
    }

    /// Returns a stream that closes at once.
    pub(crate) fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    read_through!();
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    write_through!();

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, limit } = &mut *self;
        let limit = match limit {
            Some(limit) => limit,
            None => {
                ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
                limit.insert(Box::pin(tokio::time::sleep(PATIENCE)))
            }
        };
        if limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Reads and drops what a client still sends, for as long as [`Linger`] does.
pub(crate) async fn drain(from: &mut (impl AsyncRead + Unpin)) {
    let all = async {
        // Not in the future, which is as large for all that never drain.
        let mut scratch = vec![0; 8192];
        while let Ok(1..) = from.read(&mut scratch).await {}
    };
    _ = tokio::time::timeout(PATIENCE, all).await;
}

/// A host's stream that can be read to its end also when the host does not listen any more.
///
/// A host that answers early (413, 401) closes while the request still uploads. HTTP libraries give
/// up at the first write that fails, and the answer would be lost, although it has arrived. What is
/// written after that goes nowhere; that the host is gone shows when its bytes have been read.
#[derive(Debug)]
pub(crate) struct Deaf<S> {
    io: S,
    is_deaf: bool,
}

impl<S> Deaf<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, is_deaf: false }
    }

    fn forgive<T>(&mut self, result: io::Result<T>, done: T) -> io::Result<T> {
        match result {
            Err(error) if is_of_a_closed_stream(&error) => {
                self.is_deaf = true;
                Ok(done)
            }
            result => result,
        }
    }
}

fn is_of_a_closed_stream(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Deaf<S> {
    read_through!();
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deaf<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(self.forgive(written, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(all));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs));
        Poll::Ready(self.forgive(written, all))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.forgive(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
