//! A client's bytes: to the proxy's own port, and inside a tunnel over HTTP/1.1 and HTTP/2.
//!
//! The first byte of the input chooses (`1` and `2` for the tunnels), `{P}` in the rest stands for
//! the run's placeholder.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pieces::holds;
use crate::world::{Alpn, HOST, Net, OTHER, SECRET, Stage, World, converse, serve};

/// Whatever a client sends: nothing hangs or panics, the host gets whole requests that the policy
/// allows, with the secret where the rule puts it, and nobody else gets the secret.
pub fn check(data: &[u8]) {
    let Some((mode, bytes)) = data.split_first() else { return };
    let world = World::get();
    let text = fill(bytes, &world.placeholder);
    // Whoever knows the secret has nothing to gain here; libFuzzer finds it in comparisons.
    if holds(&text, SECRET) {
        return;
    }
    let seen = Seen::default();
    let answer = world.run(async {
        let net = Net::default();
        let host = seen.clone();
        serve(net.listen(HOST, 443).await, Alpn::One, move |stream| host.clone().serve(stream));
        for (name, port) in [(OTHER, 80), (OTHER, 443), (HOST, 80)] {
            let (listener, other) = (net.listen(name, port).await, seen.clone());
            tokio::spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    tokio::spawn(other.clone().watch(tcp));
                }
            });
        }
        let stage = world.open(net).await;
        // A second piece, because a reader may take the border of one for the end of something.
        let half = text.len() / 2;
        let pieces = vec![text[..half].to_vec().into(), text[half..].to_vec().into()];
        match mode {
            b'1' => talk(stage.tls(Alpn::One).await, pieces, stage).await,
            b'2' => talk(stage.tls(Alpn::Two).await, pieces, stage).await,
            _ => talk(stage.socket(), pieces, stage).await,
        }
    });
    assert!(!holds(&answer, SECRET), "the client sees the secret");
    let wrong = seen.0.lock().expect("no panic");
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn talk<S>(mut stream: S, pieces: Vec<bytes::Bytes>, stage: Stage) -> Vec<u8>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let answer = converse(&mut stream, pieces).await;
    stage.close(&mut stream).await;
    answer
}

fn fill(bytes: &[u8], placeholder: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(b"{P}") {
            Some(after) => {
                out.extend(placeholder.as_bytes());
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// What was wrong with what hosts were sent.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn wrong(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic").push(what.into());
    }

    /// Answers each whole request, and repeats its credential.
    async fn serve(self, mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
        let mut bytes = Vec::new();
        loop {
            while let Some(len) = self.judge(&bytes) {
                let request: Vec<u8> = bytes.drain(..len).collect();
                let line = b"authorization: ";
                let at = request.windows(line.len()).position(|it| it.eq_ignore_ascii_case(line));
                let echo = at.map_or(&b""[..], |at| &request[at..request.len().min(at + 80)]);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", echo.len());
                let answer = [head.as_bytes(), echo].concat();
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        }
    }

    /// Returns how long the request is that stands at the beginning, if it is complete.
    fn judge(&self, bytes: &[u8]) -> Option<usize> {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        let head_len = match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return None,
            Err(error) => {
                self.wrong(format!("{error}: {:?}", String::from_utf8_lossy(bytes)));
                return None;
            }
        };
        let path = request.path.unwrap_or_default();
        if path.starts_with("/forbidden/") || request.method == Some("CONNECT") {
            self.wrong(format!("a request that is denied: {path}"));
        }
        let values = |name: &str| -> Vec<&[u8]> {
            let named = request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name));
            named.map(|it| it.value).collect()
        };
        if values("host") != [HOST.as_bytes()] {
            self.wrong(format!("the host is {:?}", values("host")));
        }
        let bearer = format!("Bearer {SECRET}");
        for header in request.headers.iter().filter(|it| holds(it.value, SECRET)) {
            let own = header.name.eq_ignore_ascii_case("authorization");
            if !own || header.value != bearer.as_bytes() || values("authorization").len() != 1 {
                self.wrong(format!("the secret is in {}", header.name));
            }
        }
        if holds(path.as_bytes(), SECRET) {
            self.wrong("the secret is in the path");
        }
        let body = &bytes[head_len..];
        let len =
            match (values("content-length")[..].as_ref(), values("transfer-encoding")[..].as_ref())
            {
                ([], []) => 0,
                ([len], []) => {
                    let len = std::str::from_utf8(len).ok().and_then(|len| len.parse().ok());
                    len.or_else(|| {
                        self.wrong("a length that is none");
                        None
                    })?
                }
                ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => chunked(body)?,
                other => {
                    self.wrong(format!("two readings of the framing: {other:?}"));
                    return None;
                }
            };
        let form = values("content-type").iter().any(|it| holds(it, "form"));
        let body = body.get(..len)?;
        if holds(body, SECRET) && !(form && holds(body, &format!("token={SECRET}"))) {
            self.wrong("the secret is in the body");
        }
        Some(head_len + len)
    }

    /// Watches a host that must not get the secret.
    async fn watch(self, mut stream: tokio::net::TcpStream) {
        let mut bytes = Vec::new();
        while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            if bytes.ends_with(b"\r\n\r\n") {
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
        if holds(&bytes, SECRET) {
            self.wrong("another host got the secret");
        }
    }
}

/// Returns how long a complete chunked body is (RFC 9112, section 7.1).
fn chunked(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let digits = std::str::from_utf8(&body[at..at + line]).ok()?;
        let size = usize::from_str_radix(digits.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        at += size + 2;
        if at > body.len() {
            return None;
        }
    }
    loop {
        let line = body[at..].windows(2).position(|pair| pair == b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}
