//! A host's bytes, in answer to one request that carries the secret.
//!
//! The first byte of the input chooses the request and the HTTP version, `SECRET` in the rest stands
//! for the secret.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pieces::{self, holds};
use crate::world::{Alpn, HOST, Net, SECRET, World, converse, serve};

/// Whatever a host answers: nothing hangs or panics, the client gets a head that can be read, and
/// never the secret as it is.
pub fn check(data: &[u8]) {
    let Some((mode, bytes)) = data.split_first() else { return };
    let world = World::get();
    let text = Bytes::from(pieces::fill(bytes, SECRET));
    if in_a_name(&text) {
        return;
    }
    let alpn = if *mode == b'2' { Alpn::Two } else { Alpn::One };
    let extra = match mode {
        b'w' => {
            "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-extensions: permessage-deflate\r\n"
        }
        _ => "connection: close\r\nte: trailers\r\n",
    };
    let method = if *mode == b'h' { "HEAD" } else { "GET" };
    let request = format!("{method} / HTTP/1.1\r\nhost: {HOST}\r\n{extra}\r\n");
    let answer = world.run(async {
        let net = Net::default();
        serve(net.listen(HOST, 443).await, alpn, move |mut stream| {
            let text = text.clone();
            async move {
                let mut request = Vec::new();
                let whole = |request: &[u8]| match alpn {
                    Alpn::One => request.ends_with(b"\r\n\r\n"),
                    // The preface, settings and the head have come by then.
                    Alpn::Two => request.len() > 24 + 9,
                };
                while !whole(&request) && matches!(stream.read_buf(&mut request).await, Ok(1..)) {}
                for piece in [text.slice(..text.len() / 2), text.slice(text.len() / 2..)] {
                    if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                _ = stream.shutdown().await;
                // Closing at once would reset what the proxy has not read yet.
                let mut rest = Vec::new();
                _ = stream.read_to_end(&mut rest).await;
            }
        });
        let stage = world.open(net).await;
        let mut client = stage.tls(Alpn::One).await;
        let answer = converse(&mut client, vec![Bytes::from(request)]).await;
        stage.close(&mut client).await;
        answer
    });
    assert!(!holds(&answer, SECRET), "{:?}", String::from_utf8_lossy(&answer));
    readable(&answer);
}

/// Whether the secret is in the name of a field, where nothing looks for it, as is documented.
fn in_a_name(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').skip(1).any(|line| {
        let colon = line.iter().position(|byte| *byte == b':');
        colon.is_some_and(|colon| holds(&line[..colon], SECRET))
    })
}

fn readable(answer: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(answer) {
        // The connection may end before there is an answer.
        Ok(httparse::Status::Partial) => assert!(answer.is_empty(), "a part of a head"),
        Ok(httparse::Status::Complete(_)) => {
            let count = |name: &str| {
                response.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name)).count()
            };
            let (len, coding) = (count("content-length"), count("transfer-encoding"));
            assert!(len + coding <= 1, "two readings of the framing");
        }
        Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(answer)),
    }
}
