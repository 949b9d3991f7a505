//! WebSocket: the handshakes of HTTP/1.1 (RFC 6455) and HTTP/2 (RFC 8441), and from one to the
//! other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::either::Either;

use crate::plane::headers::has_token;
use crate::plane::io::{Rewind, Socket, into_stream};
use crate::plane::serve::ClientTls;
use crate::{Reason, Refusal};

/// What is hashed together with the key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's wish to switch to WebSocket.
pub(crate) struct Requested {
    /// The client's side, once the answer says yes.
    pub(crate) client: OnUpgrade,
    /// How the client asked.
    pub(crate) over: Over,
    key: HeaderValue,
}

/// How a client asked for WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Http1,
    Http2,
}

/// Finds out whether a request asks for WebSocket, and refuses what no tunnel carries: `TRACE`,
/// `CONNECT` other than RFC 8441's. An offer of another protocol is passed over, as RFC 9110, section
/// 7.8, has it: some clients offer h2c with each request.
pub(crate) fn requested(request: &mut Request<Incoming>) -> Result<Option<Requested>, Refusal> {
    match *request.method() {
        Method::TRACE => Err(method_refused("TRACE is not forwarded")),
        Method::CONNECT => match request.extensions_mut().remove::<Protocol>() {
            Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => {
                http2(request).map(Some)
            }
            _ => Err(method_refused("CONNECT is not forwarded")),
        },
        _ if wants_websocket(request) => http1(request).map(Some),
        _ => Ok(None),
    }
}

fn method_refused(text: &'static str) -> Refusal {
    Refusal::new(Reason::MethodRefused).about(text)
}

fn wants_websocket<B>(request: &Request<B>) -> bool {
    let any = |name: &HeaderName, token: &str| {
        request.headers().get_all(name).iter().any(|value| has_token(value, token))
    };
    request.version() == Version::HTTP_11
        && any(&UPGRADE, "websocket")
        && any(&CONNECTION, "upgrade")
}

fn http1(request: &mut Request<Incoming>) -> Result<Requested, Refusal> {
    let headers = request.headers();
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let key = only(&SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let is_plain =
        only(&UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let has_no_body = request.body().is_end_stream();
    match key {
        Some(key) if is_plain && has_no_body && request.method() == Method::GET => {
            let key = key.clone();
            let client = hyper::upgrade::on(request);
            Ok(Requested { client, over: Over::Http1, key })
        }
        _ => {
            Err(Refusal::new(Reason::UpgradeRefused).about("the WebSocket handshake is malformed"))
        }
    }
}

fn http2(request: &mut Request<Incoming>) -> Result<Requested, Refusal> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::new(Reason::Internal).about("the system has no random numbers"))?;
    let key = HeaderValue::from_str(&STANDARD.encode(bytes))
        .map_err(|_| Refusal::new(Reason::Internal).about("base64 is no header value"))?;
    let client = hyper::upgrade::on(&mut *request);
    // The rest of the proxy, and the host, see the request that HTTP/1.1 has for this.
    *request.method_mut() = Method::GET;
    Ok(Requested { client, over: Over::Http2, key })
}

impl Requested {
    /// Makes the request one that asks for WebSocket in HTTP/1.1.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_KEY, self.key.clone());
        headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    }

    /// Whether an answer with status 101 really switches to WebSocket.
    pub(crate) fn is_accepted(&self, headers: &HeaderMap) -> bool {
        let upgrade = headers.get_all(UPGRADE).iter().any(|value| has_token(value, "websocket"));
        let connection =
            headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"));
        let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        upgrade && connection && accepted == Some(accept(self.key.as_bytes()).as_bytes())
    }

    /// Makes the answer the one that the client's HTTP version has for "yes".
    pub(crate) fn confirm(&self, status: &mut StatusCode, headers: &mut HeaderMap) {
        match self.over {
            Over::Http1 => {
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            }
            Over::Http2 => {
                *status = StatusCode::OK;
                headers.remove(SEC_WEBSOCKET_ACCEPT);
            }
        }
    }
}

/// Takes a client's side of a WebSocket: a stream that lingers when it is shut down could not be
/// closed in one direction alone.
pub(crate) fn stream(
    client: Upgraded,
) -> Either<Rewind<ClientTls>, Either<Rewind<Socket>, TokioIo<Upgraded>>> {
    match into_stream::<ClientTls>(client).map_err(into_stream::<Socket>) {
        Ok(tls) => Either::Left(tls),
        Err(Ok(plain)) => Either::Right(Either::Left(plain)),
        Err(Err(http2)) => Either::Right(Either::Right(TokioIo::new(http2))),
    }
}

fn accept(key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    STANDARD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_in_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
