//! Hosts: steady ones that do what the path says, and one that fails in every way.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::feed::{Fed, feed};
use crate::ledger::Ledger;

/// Longer than this no stream lasts.
const STREAM: u64 = 200;

type Body = Either<Full<Bytes>, Fed>;

/// One connection of a host: all its requests are one run's, with one secret.
struct Connection {
    ledger: Arc<Ledger>,
    run: AtomicU64,
}

/// Serves a host that does what the path says.
pub(crate) async fn steady(listener: TcpListener, acceptor: TlsAcceptor, ledger: Arc<Ledger>) {
    while let Ok((tcp, _)) = listener.accept().await {
        _ = tcp.set_nodelay(true);
        let (acceptor, ledger) = (acceptor.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(tcp).await else { return };
            let connection = Arc::new(Connection { ledger, run: AtomicU64::new(0) });
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request| {
                let connection = Arc::clone(&connection);
                async move { Ok::<_, Infallible>(connection.answer(request).await) }
            });
            let io = TokioIo::new(stream);
            _ = if is_http2 {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.serve_connection(io, service).await
            } else {
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(io, service).with_upgrades().await
            };
        });
    }
}

/// What a request says of itself.
struct Claim {
    credential: String,
    run: Option<(u64, u64)>,
}

impl Claim {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let credential = text(AUTHORIZATION.as_str()).unwrap_or_default().to_owned();
        let run = text("x-soak").and_then(|claim| claim.split_once(' '));
        let run = run.and_then(|(run, floor)| Some((run.parse().ok()?, floor.parse().ok()?)));
        Self { credential, run }
    }

    fn secret(&self) -> &str {
        self.credential.strip_prefix("Bearer ").unwrap_or(&self.credential)
    }

    /// Repeats the secret in a form by number.
    fn echo(&self, form: usize) -> String {
        let secret = self.secret();
        match form % 4 {
            0 => secret.to_owned(),
            1 => STANDARD.encode(format!("user:{secret}")),
            2 => secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
            _ => STANDARD.encode(secret),
        }
    }
}

impl Connection {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        let claim = Claim::of(request.headers());
        let path = request.uri().path().to_owned();
        self.ledger.judge(claim.secret(), claim.run, &path);
        self.stays(&claim);
        let mut segments = path.split('/').skip(1);
        let (what, number) = (segments.next().unwrap_or_default(), segments.next());
        let number: usize = number.and_then(|number| number.parse().ok()).unwrap_or_default();
        match what {
            "echo" => echo(&claim, number),
            "upload" => uploaded(request.into_body()).await,
            "download" => stream(&claim, number, 16 * 1024, Duration::ZERO),
            "sse" => stream(&claim, number, 0, Duration::from_millis(20)),
            "bidi" => self.bidi(claim, request.into_body()),
            "ws" => websocket(claim, &mut request),
            "500" => with_status(StatusCode::BAD_GATEWAY),
            _ => with_status(StatusCode::NOT_FOUND),
        }
    }

    fn stays(&self, claim: &Claim) {
        let Some((run, _)) = claim.run else { return };
        let before = self.run.swap(run, Ordering::SeqCst);
        if before != 0 && before != run {
            self.ledger.violation(format!("runs {before} and {run} share a connection"));
        }
    }

    /// Answers each message of a stream, as gRPC does.
    fn bidi(&self, claim: Claim, mut body: Incoming) -> Response<Body> {
        let (sender, replies) = feed();
        let ledger = Arc::clone(&self.ledger);
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { break };
                if let Some(late) = claim.run.and_then(|(run, _)| ledger.has_stopped_for(run))
                    && late > crate::ledger::GRACE
                {
                    ledger.violation(format!("a message {late:?} after the end of its run"));
                }
                let message = [&data[..], claim.echo(0).as_bytes()].concat();
                if sender.data(message).await.is_err() {
                    return;
                }
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            _ = sender.trailers(trailers).await;
        });
        let mut answer = Response::new(Either::Right(replies));
        answer.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().expect("a value"));
        answer
    }
}

fn with_status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from_static(b"no"))));
    *answer.status_mut() = status;
    answer
}

/// Repeats the secret in a header and in the body, plain or compressed.
fn echo(claim: &Claim, form: usize) -> Response<Body> {
    let echo = claim.echo(form);
    let text = format!("{{\"you\": \"sent\", \"it\": \"{echo}\"}}");
    let coded = form % 8 == 7;
    let body = if coded {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("a vector")
    } else {
        text.into_bytes()
    };
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    answer.headers_mut().insert("x-echo", echo.parse().expect("a value"));
    if coded {
        answer.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().expect("a value"));
    }
    answer
}

async fn uploaded(mut body: Incoming) -> Response<Body> {
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => len += frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return with_status(StatusCode::BAD_REQUEST),
        }
    }
    Response::new(Either::Left(Full::new(len.to_string().into())))
}

/// Sends pieces with pauses, and the secret in some of them.
fn stream(claim: &Claim, count: usize, filler: usize, pause: Duration) -> Response<Body> {
    let (sender, body) = feed();
    let echoes: Vec<String> = (0..4).map(|form| claim.echo(form)).collect();
    let count = count.min(STREAM as usize);
    tokio::spawn(async move {
        for at in 0..count {
            let text = format!("data: {at} {}\n\n{}", echoes[at % 4], "x".repeat(filler));
            if sender.data(text).await.is_err() {
                return;
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        _ = sender.data(&b"end"[..]).await;
    });
    let mut answer = Response::new(Either::Right(body));
    answer.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("a value"));
    answer
}

/// Sends a message for each bytes that come.
fn websocket(claim: Claim, request: &mut Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = TokioIo::new(upgraded);
        let mut buffer = [0; 1024];
        while let Ok(1..) = socket.read(&mut buffer).await {
            let text = format!("got it {}", claim.echo(0));
            let head = [0x81, u8::try_from(text.len()).expect("a short message")];
            if socket.write_all(&[&head, text.as_bytes()].concat()).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, value.parse().expect("a value"));
    }
    answer
}

/// Serves a host that fails in another way at each request.
pub(crate) async fn wild(listener: TcpListener, acceptor: TlsAcceptor, ledger: Arc<Ledger>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, ledger) = (acceptor.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            if fastrand::u8(..) < 16 {
                return reset(&tcp);
            }
            if let Ok(stream) = acceptor.accept(tcp).await {
                fail(stream, &ledger).await;
            }
        });
    }
}

fn reset(tcp: &TcpStream) {
    _ = tcp.set_zero_linger();
}

async fn fail(mut stream: TlsStream<TcpStream>, ledger: &Ledger) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.to_lowercase().starts_with(name));
        line.map_or("", |line| line[name.len()..].trim()).to_owned()
    };
    let claim = field("x-soak:");
    let claim = claim
        .split_once(' ')
        .and_then(|(run, floor)| Some((run.parse().ok()?, floor.parse().ok()?)));
    let secret = field("authorization: bearer");
    ledger.judge(&secret, claim, "wild");
    let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nnot all of it";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
    let bytes = match fastrand::u8(0..8) {
        0 => return reset(stream.get_ref().0),
        1 => truncated.to_owned(),
        2 => chunked.to_owned(),
        3 => format!("\u{0}garbage {secret}\r\n\r\n"),
        4 => format!("HTTP/1.1 500 {secret}\r\ncontent-length: 2\r\n\r\nno"),
        5 => {
            sleep(Duration::from_millis(fastrand::u64(0..3000))).await;
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nslow".to_owned()
        }
        6 => String::new(),
        _ => format!("HTTP/1.1 401 No\r\nx-echo: {secret}\r\ncontent-length: 0\r\n\r\n"),
    };
    _ = stream.write_all(bytes.as_bytes()).await;
    if fastrand::bool() {
        _ = stream.shutdown().await;
    } else {
        reset(stream.get_ref().0);
    }
}
