//! A client that writes frames of HTTP/2 itself, so that it can send what libraries refuse to.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::frames::{self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM};
use crate::support::{World, soon};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is an answer; its status is not decoded.
    Answered,
    /// The stream was reset.
    Reset,
    /// The connection ended.
    Gone,
}

/// A connection in a tunnel.
pub(crate) struct Raw(TlsStream<TcpStream>);

impl Raw {
    pub(crate) async fn open(world: &World, host: &str) -> Self {
        let mut stream = world.tls(host, &["h2"]).await;
        frames::begin(&mut stream).await;
        Self(stream)
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // The proxy may have hung up already.
        _ = self.0.write_all(&frames::frame(kind, flags, stream, payload)).await;
    }

    pub(crate) async fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &frames::fields(fields)).await;
    }

    pub(crate) async fn data(&mut self, stream: u32, data: &[u8], ends: bool) {
        self.frame(DATA, if ends { END_STREAM } else { 0 }, stream, data).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await;
    }

    /// Reads until it is clear what became of a stream.
    pub(crate) async fn end(&mut self, wanted: u32) -> End {
        while let Some(frame) = soon(frames::next(&mut self.0)).await {
            match frame.kind {
                HEADERS if frame.stream == wanted => return End::Answered,
                RST_STREAM if frame.stream == wanted => return End::Reset,
                GOAWAY => return End::Gone,
                _ => {}
            }
        }
        End::Gone
    }
}
