//! A client that writes frames of HTTP/2 itself, so that it can send what libraries refuse to.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{World, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a request came to.
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
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut raw = Self(stream);
        raw.frame(SETTINGS, 0, 0, &[]).await;
        raw
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // The proxy may have hung up already.
        _ = self.0.write_all(&frame).await;
    }

    /// Sends a head, each field as a literal that is not indexed (RFC 7541, section 6.2.2).
    pub(crate) async fn head(&mut self, stream: u32, fields: &[(&[u8], &[u8])], ends: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                // Lengths below 127 fit into seven bits, and no text is Huffman coded.
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text);
            }
        }
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block).await;
    }

    pub(crate) async fn data(&mut self, stream: u32, data: &[u8], ends: bool) {
        self.frame(DATA, if ends { END_STREAM } else { 0 }, stream, data).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await;
    }

    /// Reads until it is clear what became of a stream.
    pub(crate) async fn end(&mut self, wanted: u32) -> End {
        loop {
            let mut head = [0; 9];
            if soon(self.0.read_exact(&mut head)).await.is_err() {
                return End::Gone;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if soon(self.0.read_exact(&mut payload)).await.is_err() {
                return End::Gone;
            }
            match head[3] {
                HEADERS if stream == wanted => return End::Answered,
                RST_STREAM if stream == wanted => return End::Reset,
                GOAWAY => return End::Gone,
                _ => {}
            }
        }
    }
}
