//! The origin: a TLS server for HTTP/1.1 and HTTP/2 that takes one credential and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::Result;
use crate::body::{Arriving, Repeat, text};
use crate::clock;
use crate::world::{Http, SESSION, World};

/// How long the answer to a small request is.
pub(crate) const SMALL: usize = 1024;
/// How long the pieces of long bodies are.
pub(crate) const PIECE: usize = 64 * 1024;
/// How long an event comes after the head of its stream.
const BEFORE_EVENT: Duration = Duration::from_millis(5);

type Answer = Response<Either<Repeat, Arriving>>;

/// Answers requests.
struct Origin {
    authorization: HeaderValue,
    /// What is in front of a signature, and the token of the session that it is of.
    signed: (String, HeaderValue),
    small: Bytes,
    piece: Bytes,
}

/// Serves until the process ends.
pub(crate) async fn serve(world: &World, http: Http, listener: TcpListener) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(world.server(http.offer())?));
    let origin = Arc::new(Origin {
        authorization: world.authorization()?.parse()?,
        signed: (
            format!("AWS4-HMAC-SHA256 Credential={SESSION}/"),
            world.read("credential")?.parse()?,
        ),
        small: text(SMALL),
        piece: text(PIECE),
    });
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (acceptor, origin) = (acceptor.clone(), Arc::clone(&origin));
        tokio::spawn(async move {
            // Whoever hangs up has measured what there was to measure.
            _ = connection(acceptor, tcp, origin).await;
        });
    }
}

async fn connection(acceptor: TlsAcceptor, tcp: TcpStream, origin: Arc<Origin>) -> Result<()> {
    let stream = acceptor.accept(tcp).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let origin = Arc::clone(&origin);
        async move { Ok::<_, Infallible>(origin.answer(request).await) }
    });
    if is_http2 {
        http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .serve_connection(TokioIo::new(stream), service)
            .await?;
    } else {
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    }
    Ok(())
}

impl Origin {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut answer = if self.knows(&request) {
            let path = request.uri().path().to_owned();
            match path.split_at(path.rfind('/').map_or(0, |at| at + 1)) {
                ("/down/", length) => self.repeat(length.parse().unwrap_or(0)),
                ("/", "up") => swallow(request.into_body()).await,
                ("/", "events") => event(),
                _ => repeat(&self.small, SMALL as u64),
            }
        } else {
            let mut refused = repeat(&Bytes::new(), 0);
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            refused
        };
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().entry(CONTENT_TYPE).or_insert(json);
        answer
    }

    /// Whether a request has the credential, or was signed anew: nobody else knows the token.
    fn knows(&self, request: &Request<Incoming>) -> bool {
        let Some(authorization) = request.headers().get(AUTHORIZATION) else { return false };
        let (signed, token) = &self.signed;
        *authorization == self.authorization
            || (authorization.as_bytes().starts_with(signed.as_bytes())
                && request.headers().get("x-amz-security-token") == Some(token))
    }

    fn repeat(&self, length: u64) -> Answer {
        repeat(&self.piece, length)
    }
}

fn repeat(piece: &Bytes, length: u64) -> Answer {
    Response::new(Either::Left(Repeat::new(piece.clone(), length)))
}

/// Counts a body and answers with its length.
async fn swallow(mut body: Incoming) -> Answer {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len) as u64;
    }
    let length = Bytes::from(length.to_string());
    repeat(&length, length.len() as u64)
}

/// Answers at once, and a little later with an event that says when it was sent.
fn event() -> Answer {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::time::sleep(BEFORE_EVENT).await;
        let event = format!("data: {}\n\n", clock::nanoseconds());
        _ = sender.send(event.into()).await;
    });
    let mut answer = Response::new(Either::Right(Arriving(receiver)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}
