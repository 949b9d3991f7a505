//! What the data plane asks of the rules: one handler per run, one verdict per request.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::{Authority, Refusal};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request, response};
use moat_provider_core::BoxFuture;
use tokio_util::sync::CancellationToken;

/// Decides what happens in one run: a snapshot of its rules, policy and secrets.
///
/// It is looked up anew for every request, so a swap is seen by tunnels that are open already.
pub trait Handler: fmt::Debug + Send + Sync {
    /// Judges a CONNECT request before any name is resolved.
    fn connect(&self, authority: &Authority) -> ConnectVerdict;

    /// Judges a request and changes its head. Hop-by-hop fields are gone already; `Host`, the
    /// request target and everything else are as the client wrote them.
    fn request(&self, head: &mut request::Parts, place: &RequestPlace<'_>) -> Verdict;

    /// Returns where to connect for a host that is not to be looked up, such as the name of this
    /// machine; `None` for any other.
    ///
    /// # Errors
    ///
    /// The refusal, when the host may not be reached.
    fn known_addresses(&self, authority: &Authority) -> Result<Option<Vec<SocketAddr>>, Refusal> {
        let _ = authority;
        Ok(None)
    }

    /// Says which addresses of a host may be dialled, in order of preference. Exactly these are.
    ///
    /// # Errors
    ///
    /// The refusal, when none may.
    fn judge_addresses(
        &self,
        authority: &Authority,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal>;
}

/// What happens to a CONNECT request.
#[derive(Debug)]
pub enum ConnectVerdict {
    /// TLS is terminated here and each request is judged.
    Intercept(NotTls),
    /// Bytes pass unseen, and without a credential.
    Tunnel(TunnelPlan),
    /// Nothing passes.
    Refuse(Refusal),
}

/// How a tunnel is passed on.
#[derive(Clone, Debug, Default)]
pub struct TunnelPlan {
    /// Closes the tunnel when what allowed it is revoked.
    pub cut: Option<CancellationToken>,
}

/// What happens to a tunnel that turns out not to carry TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTls {
    /// Its bytes pass unseen, and without a credential.
    Tunnel,
    /// It closes.
    Close,
}

/// Where a request came in.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct RequestPlace<'a> {
    /// How it came in.
    pub channel: Channel,
    /// The CONNECT authority, or the authority of an absolute-form target; `None` for
    /// [`Channel::Direct`].
    pub authority: Option<&'a Authority>,
    /// The server name of the TLS handshake, when the client sent one. It agrees with the authority.
    pub sni: Option<&'a str>,
    /// What the client wants to switch to.
    pub upgrade: Option<Upgrade>,
    /// Whether a body may come. Trailers are part of one.
    pub has_body: bool,
}

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Inside a tunnel whose TLS is terminated here.
    Intercepted,
    /// In absolute form, for an http URL.
    Plain,
    /// In origin form, to the proxy itself.
    Direct,
}

/// A protocol that a connection may switch to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// WebSocket (RFC 6455), also over HTTP/2 (RFC 8441).
    WebSocket,
}

/// What happens to a request, and what the log says about it.
#[derive(Debug)]
pub struct Verdict {
    /// What happens.
    pub action: Action,
    /// What the log says.
    pub note: Note,
}

/// What the log says about a request.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// The URL to print: without secrets. Without this, the URL as the client wrote it with its
    /// query left out.
    pub url: Option<String>,
    /// Why it was answered here.
    pub reason: Option<&'static str>,
    /// The grant whose secret is sent.
    pub grant: Option<Arc<str>>,
    /// The rule that filled in a credential.
    pub rule: Option<Arc<str>>,
    /// Where placeholders of the run stand that do not belong there: a header, `query KEY`, `path`.
    pub strays: Vec<String>,
}

/// What happens to a request.
pub enum Action {
    /// It is forwarded to its authority.
    Forward(ForwardPlan),
    /// It is answered with this.
    Answer(Response<Bytes>),
    /// It is answered by a handler that needs the body or time.
    Serve {
        /// How long a body may be, in bytes.
        limit: usize,
        /// Makes the answer.
        respond: Respond,
    },
    /// It waits for this, and the handler that is in force then is asked again, with the head that
    /// the client wrote: a secret has yet to be made. The future only says when to ask; whether
    /// what was missing is there now, the handler sees. Where it takes longer than
    /// [`Limits::defer`](crate::plane::Limits::defer), or the third verdict is still this, the answer
    /// is 504 `not-ready`. It is dropped when the client goes away.
    ///
    /// The handler has left the head as it was.
    Defer(Defer),
}

/// Completes when a request can be judged.
pub type Defer = BoxFuture<'static, ()>;

/// Makes an answer from a whole request.
pub type Respond = Box<dyn FnOnce(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send>;

/// How a request is forwarded.
#[derive(Debug, Default)]
pub struct ForwardPlan {
    /// Which credential at which generation it carries; 0 for none. Connections to the host are
    /// shared only among requests of one identity.
    pub identity: u64,
    /// What happens to its body.
    pub body: RequestBody,
    /// Looks at the answer; without one it passes.
    pub answer: Option<Box<dyn AnswerHandler>>,
    /// Cut the exchange short when one of them is cancelled, because a credential is revoked: the
    /// request's body, the wait for the answer, the answer, and the WebSocket that it opened.
    pub cuts: Vec<CancellationToken>,
}

/// What happens to the body of a request.
#[derive(Default)]
pub enum RequestBody {
    /// It streams as it is.
    #[default]
    Stream,
    /// It is collected first; a longer one is refused with 413.
    Collect {
        /// How long it may be, in bytes.
        limit: usize,
        /// Makes the body to send, and may change the head.
        finish: FinishRequest,
    },
    /// It streams through a map.
    Map(Box<dyn BodyMap>),
}

/// Makes the body to send from a whole body.
pub type FinishRequest =
    Box<dyn FnOnce(Bytes, &mut request::Parts) -> Result<FinishedRequest, Refusal> + Send>;

/// A body that was made from a whole one.
#[derive(Clone, Debug)]
pub struct FinishedRequest {
    /// What is sent.
    pub body: Bytes,
    /// What the log says about it, beside what the verdict did.
    pub note: Note,
}

impl From<Bytes> for FinishedRequest {
    fn from(body: Bytes) -> Self {
        Self { body, note: Note::default() }
    }
}

/// Looks at one answer.
pub trait AnswerHandler: fmt::Debug + Send {
    /// Sees and changes the head, without hop-by-hop fields, and says what happens to the body.
    fn head(&mut self, head: &mut response::Parts) -> AnswerBody;

    /// Sees and changes the trailer fields.
    fn trailers(&mut self, trailers: &mut HeaderMap) {
        let _ = trailers;
    }

    /// Returns the maps for the two directions of a WebSocket, when the answer opened one.
    fn upgraded(&mut self) -> UpgradedMaps {
        UpgradedMaps::default()
    }
}

/// What the bytes of a WebSocket pass through.
#[derive(Debug, Default)]
pub struct UpgradedMaps {
    /// From client to host.
    pub up: Option<Box<dyn BodyMap>>,
    /// From host to client.
    pub down: Option<Box<dyn BodyMap>>,
}

/// What happens to the body of an answer.
pub enum AnswerBody {
    /// It streams as it is.
    Stream,
    /// It streams through a map.
    Map(Box<dyn BodyMap>),
    /// It is collected first.
    Collect {
        /// How long it may be, in bytes.
        limit: usize,
        /// Makes the body to send, and may change the head.
        finish: FinishAnswer,
        /// What happens to a longer one.
        overlong: Overlong,
    },
    /// Head and body are replaced.
    Replace(Response<Bytes>),
}

/// What happens to the body of an answer that is longer than may be collected.
#[derive(Debug)]
pub enum Overlong {
    /// It streams, through a map if there is one.
    Stream(Option<Box<dyn BodyMap>>),
    /// A refusal takes the answer's place.
    Refuse(Refusal),
}

/// Makes the body to send from a whole body.
pub type FinishAnswer =
    Box<dyn FnOnce(Bytes, &mut response::Parts) -> Result<Bytes, Refusal> + Send>;

/// Changes a body while it streams.
///
/// Whoever changes the length removes or sets `Content-Length`.
pub trait BodyMap: fmt::Debug + Send {
    /// Takes the next bytes and returns what can be sent; empty when all is held back.
    ///
    /// # Errors
    ///
    /// When the stream must be cut.
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut>;

    /// Returns the rest, after the last byte.
    ///
    /// # Errors
    ///
    /// When the stream must be cut.
    fn finish(&mut self) -> Result<Bytes, Cut>;

    /// Says for how long what is held back may stay so; `None` when nothing is.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Gives up what is held back: no more came while [`patience`](Self::patience) lasted.
    ///
    /// # Errors
    ///
    /// When the stream must be cut.
    fn flush(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }

    /// Sees and changes the trailer fields of a request.
    fn trailers(&mut self, trailers: &mut HeaderMap) {
        let _ = trailers;
    }
}

/// A stream that must not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    reason: &'static str,
    last: Bytes,
}

impl Cut {
    /// Ends a stream for a reason, which goes into the record.
    #[must_use]
    pub fn new(reason: &'static str) -> Self {
        Self { reason, last: Bytes::new() }
    }

    /// Sends these bytes before the end: the close frame of a WebSocket.
    #[must_use]
    pub fn with_last(mut self, last: Bytes) -> Self {
        self.last = last;
        self
    }

    /// Returns why.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Returns what is sent before the end.
    #[must_use]
    pub fn last(&self) -> &Bytes {
        &self.last
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(plan) => f.debug_tuple("Forward").field(plan).finish(),
            Self::Answer(answer) => f.debug_tuple("Answer").field(&answer.status()).finish(),
            Self::Serve { limit, .. } => {
                f.debug_struct("Serve").field("limit", limit).finish_non_exhaustive()
            }
            Self::Defer(_) => f.write_str("Defer"),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("Stream"),
            Self::Collect { limit, .. } => {
                f.debug_struct("Collect").field("limit", limit).finish_non_exhaustive()
            }
            Self::Map(map) => f.debug_tuple("Map").field(map).finish(),
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("Stream"),
            Self::Map(map) => f.debug_tuple("Map").field(map).finish(),
            Self::Collect { limit, .. } => {
                f.debug_struct("Collect").field("limit", limit).finish_non_exhaustive()
            }
            Self::Replace(answer) => f.debug_tuple("Replace").field(&answer.status()).finish(),
        }
    }
}
