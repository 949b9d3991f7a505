//! One request on its way to the host, and the answer on its way back.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST};
use http::uri::{PathAndQuery, Scheme as UriScheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request, response};
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::plane::body::{Body, Collected, collect};
use crate::plane::cuts::{Cuts, cuts, first_of};
use crate::plane::destination::{Destination, Scheme};
use crate::plane::error::Abort;
use crate::plane::headers;
use crate::plane::lane::{Lane, answer};
use crate::plane::record::{Direction, Exchange, Sink};
use crate::plane::run::Run;
use crate::plane::seam::{
    Action, AnswerBody, FinishRequest, FinishedRequest, ForwardPlan, Note, Overlong, RequestBody,
    RequestPlace, Respond, Upgrade,
};
use crate::plane::tunnel;
use crate::plane::upgrade::{self, Over, Requested};
use crate::plane::upstream::{Lease, Offer, Protocol};
use crate::plane::verdict;
use crate::{Reason, Refusal};

/// How often a request is sent again because a connection turned out to be closed.
const RETRIES: usize = 2;

/// Carries out one request.
pub(crate) async fn handle(
    lane: &Lane,
    request: Request<Incoming>,
) -> Result<Response<Body>, Abort> {
    let exchange = begin(lane, &request);
    let method = request.method().clone();
    let response = match route(lane, request, &exchange).await {
        Ok(response) => response,
        Err(Failure::Refused(refusal)) => {
            exchange.reason(refusal.reason().as_str());
            if let Some(rule) = refusal.decided_by() {
                exchange.rule(Some(rule.into()));
            }
            own(&method, refusal.response())
        }
        Err(Failure::Aborted(abort)) => {
            exchange.reason(abort.reason());
            return Err(abort);
        }
    };
    exchange.answered(response.status());
    Ok(response)
}

/// Sends an answer of our own: without its body to `HEAD` (RFC 9110, section 9.3.2), which hyper sees
/// to in HTTP/1.1 only.
fn own(method: &Method, mut response: Response<Bytes>) -> Response<Body> {
    if method == Method::HEAD {
        let body = std::mem::take(response.body_mut());
        set_length(response.headers_mut(), &body);
    }
    answer(response)
}

/// Why there is no answer of the host's.
enum Failure {
    Refused(Refusal),
    Aborted(Abort),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Begins the record of a request.
pub(crate) fn exchange(
    run: &Run,
    method: &str,
    url: String,
    client_protocol: &'static str,
) -> Arc<Exchange> {
    let sink = run.shared.recorder.as_ref().map(|recorder| Sink {
        recorder: recorder.clone(),
        run: Some(run.id.clone()),
        peer: None,
        method: method.to_owned(),
        url,
        started: run.shared.clock.now(),
        client_protocol,
        samples: run.samples,
    });
    Exchange::new(sink)
}

fn begin(lane: &Lane, request: &Request<Incoming>) -> Arc<Exchange> {
    let url = match (&lane.run.shared.recorder, &lane.destination) {
        (None, _) => String::new(),
        (Some(_), None) => request.uri().path().to_owned(),
        (Some(_), Some(destination)) => {
            let scheme = if destination.scheme == Scheme::Https { "https" } else { "http" };
            format!("{scheme}://{}{}", destination.uri_authority, request.uri().path())
        }
    };
    exchange(&lane.run, request.method().as_str(), url, version(request.version()))
}

/// Names an HTTP version as ALPN does.
pub(crate) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "h2",
        Version::HTTP_10 => "http/1.0",
        _ => "http/1.1",
    }
}

/// Has a request judged, and does what the verdict says.
async fn route(
    lane: &Lane,
    mut request: Request<Incoming>,
    exchange: &Arc<Exchange>,
) -> Result<Response<Body>, Failure> {
    if !lane.sni_agrees {
        return Err(Refusal::new(Reason::SniMismatch).into());
    }
    if !headers::is_plainly_framed(request.headers()) {
        let refusal =
            Refusal::new(Reason::BadRequest).about("the transfer coding is not exactly chunked");
        exchange.reason(refusal.reason().as_str());
        let mut response = own(request.method(), refusal.response());
        // Nobody knows where the next request would begin.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(response);
    }
    let upgrade = upgrade::requested(&mut request)?;
    headers::strip_request(request.headers_mut());
    let (mut head, body) = request.into_parts();
    let place = RequestPlace {
        channel: lane.channel,
        authority: lane.destination.as_ref().map(|destination| &destination.authority),
        sni: lane.sni.as_deref(),
        upgrade: upgrade.as_ref().map(|_| Upgrade::WebSocket),
        has_body: !body.is_end_stream(),
    };
    exchange.begin_sample(Direction::Up, &head.headers);
    let verdict = verdict::of(lane, &mut head, &place).await?;
    note(exchange, verdict.note);
    match verdict.action {
        Action::Answer(response) => Ok(own(&head.method, response)),
        Action::Defer(_) => {
            Err(Refusal::new(Reason::Internal).about("a request was deferred without end").into())
        }
        // What is rare is boxed: each request would have to make room for it.
        Action::Serve { limit, respond } => Box::pin(serve_here(head, body, limit, respond)).await,
        Action::Forward(plan) => {
            let cuts = cuts(lane, &plan);
            let trip = Trip { lane, exchange, cuts: &cuts };
            let forwarded = trip.forward(head, body, plan, upgrade);
            tokio::select! {
                // First, since what is cut also fails at the host, and that is no failure of it.
                biased;
                reason = first_of(&cuts) => Err(Failure::Aborted(Abort::new(reason.as_str()))),
                done = forwarded => done,
            }
        }
    }
}

fn note(exchange: &Exchange, note: Note) {
    if let Some(url) = note.url {
        exchange.url(url);
    }
    if let Some(reason) = note.reason {
        exchange.reason(reason);
    }
    if note.grant.is_some() {
        exchange.grant(note.grant);
    }
    if note.rule.is_some() {
        exchange.rule(note.rule);
    }
    if !note.strays.is_empty() {
        exchange.strays(note.strays);
    }
}

async fn serve_here(
    head: request::Parts,
    body: Incoming,
    limit: usize,
    respond: Respond,
) -> Result<Response<Body>, Failure> {
    match collect(body, limit).await {
        Ok(Collected::Whole(bytes)) => {
            let method = head.method.clone();
            Ok(own(&method, respond(Request::from_parts(head, bytes)).await))
        }
        Ok(Collected::TooLong(..)) => Err(too_large(limit).into()),
        Err(error) => Err(Failure::Aborted(Abort::because(Reason::ClientAborted, error))),
    }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLong).about(format!("more than {limit} bytes"))
}

/// A request that is forwarded.
struct Trip<'a> {
    lane: &'a Lane,
    exchange: &'a Arc<Exchange>,
    cuts: &'a Cuts,
}

impl Trip<'_> {
    async fn forward(
        &self,
        mut head: request::Parts,
        body: Incoming,
        mut plan: ForwardPlan,
        upgrade: Option<Requested>,
    ) -> Result<Response<Body>, Failure> {
        let Some(destination) = &self.lane.destination else {
            return Err(Refusal::new(Reason::NoSuchEndpoint).into());
        };
        let method = head.method.clone();
        let body = match std::mem::take(&mut plan.body) {
            RequestBody::Stream => self.counted(Body::incoming(body)),
            RequestBody::Map(map) => self.counted(Body::incoming(body).mapped(map)),
            RequestBody::Collect { limit, finish } => {
                Box::pin(self.collected(&mut head, body, limit, finish)).await?
            }
        };
        if let Some(upgrade) = &upgrade {
            upgrade.write(&mut head.headers);
        }
        let offer = if upgrade.is_some() { Offer::Http1 } else { Offer::Any };
        let request = Request::from_parts(head, body);
        let (response, lease) = self.send(destination, request, plan.identity, offer).await?;
        self.exchange.upstream_protocol(lease.protocol().as_str());
        match (upgrade, response.status()) {
            (Some(upgrade), StatusCode::SWITCHING_PROTOCOLS) => {
                self.switch(response, upgrade, plan)
            }
            // In HTTP/2 this would open a WebSocket.
            (Some(upgrade), status) if upgrade.over == Over::Http2 && status.is_success() => {
                Err(broken("the host answered a WebSocket handshake with success").into())
            }
            (None, StatusCode::SWITCHING_PROTOCOLS) => {
                Err(broken("the host switched protocols unasked").into())
            }
            _ => self.answer(&method, response, lease, plan).await,
        }
    }

    fn counted(&self, body: Body) -> Body {
        body.counted(Arc::clone(self.exchange), Direction::Up).cut_by(self.cuts)
    }

    /// Makes the body to send from all of what the client sends.
    async fn collected(
        &self,
        head: &mut request::Parts,
        body: Incoming,
        limit: usize,
        finish: FinishRequest,
    ) -> Result<Body, Failure> {
        match collect(body, limit).await {
            Ok(Collected::Whole(bytes)) => {
                self.exchange.sample(Direction::Up, &bytes);
                let FinishedRequest { body: bytes, note: more } = finish(bytes, head)?;
                note(self.exchange, more);
                head.headers.remove(EXPECT);
                set_length(&mut head.headers, &bytes);
                self.exchange.count(Direction::Up, bytes.len());
                Ok(Body::full(bytes))
            }
            Ok(Collected::TooLong(..)) => Err(too_large(limit).into()),
            Err(error) => Err(Failure::Aborted(Abort::because(Reason::ClientAborted, error))),
        }
    }

    /// Sends a request on a connection of the pool, and once more on another when that one turns
    /// out to be closed and the host cannot have seen the request.
    async fn send(
        &self,
        destination: &Destination,
        mut request: Request<Body>,
        identity: u64,
        offer: Offer,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let replayable = safe && hyper::body::Body::is_end_stream(request.body());
        for attempt in 0.. {
            let mut lease = self.lease(destination, identity, offer, attempt).await?;
            let again = attempt < RETRIES && lease.is_reused();
            let copy = (again && replayable).then(|| copy_of(&request));
            self.adapt(&mut request, destination, lease.protocol());
            let limit = self.lane.run.shared.limits.first_byte;
            match lease.send(request, limit, || self.exchange.up()).await {
                Some(Ok(response)) => return Ok((response, lease)),
                None => return Err(Refusal::new(Reason::UpstreamTimeout).into()),
                Some(Err(failed)) => {
                    let retry = if again { failed.unsent.or(copy) } else { None };
                    request = retry.ok_or_else(|| lost(&failed.error))?;
                }
            }
        }
        Err(broken("the host closes every connection").into())
    }

    async fn lease(
        &self,
        destination: &Destination,
        identity: u64,
        offer: Offer,
        attempt: usize,
    ) -> Result<Lease, Refusal> {
        let pool = &self.lane.run.pool;
        let fresh = offer == Offer::Http1 || attempt == RETRIES;
        let handler = Arc::clone(&self.lane.run.handler());
        let slot = self.lane.slot(&handler, destination, identity);
        if !fresh && let Some(lease) = slot.ready() {
            return Ok(lease);
        }
        if fresh {
            return Box::pin(pool.acquire_fresh(&handler, destination, &slot, offer)).await;
        }
        Box::pin(pool.acquire(&handler, destination, &slot)).await
    }

    /// Gives a request the form that the connection's protocol has for it.
    fn adapt(&self, request: &mut Request<Body>, destination: &Destination, protocol: Protocol) {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
        if protocol == Protocol::Http2 {
            uri.scheme = Some(UriScheme::HTTPS);
            uri.authority = Some(destination.uri_authority.clone());
            request.headers_mut().remove(HOST);
            *request.version_mut() = Version::HTTP_2;
        } else {
            uri.scheme = None;
            uri.authority = None;
            request.headers_mut().insert(HOST, destination.host_field.clone());
            headers::join_cookies(request.headers_mut());
            self.expect(request);
            *request.version_mut() = Version::HTTP_11;
        }
        if let Ok(uri) = Uri::from_parts(uri) {
            *request.uri_mut() = uri;
        }
    }

    /// Makes a request that expects `100 Continue` wait for the host's.
    fn expect(&self, request: &mut Request<Body>) {
        let expects = request
            .headers()
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if !expects || request.body().is_end_stream() {
            return;
        }
        let open = CancellationToken::new();
        let gate = open.clone();
        hyper::ext::on_informational(request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                open.cancel();
            }
        });
        request.body_mut().gate(gate, self.lane.run.shared.limits.expect_continue);
    }

    /// Passes an answer on.
    async fn answer(
        &self,
        method: &Method,
        response: Response<Incoming>,
        lease: Lease,
        plan: ForwardPlan,
    ) -> Result<Response<Body>, Failure> {
        let (mut head, incoming) = response.into_parts();
        if !headers::is_plainly_framed(&head.headers) {
            return Err(broken("the transfer coding of the answer is not exactly chunked").into());
        }
        headers::strip_answer(&mut head);
        head.version = Version::HTTP_11;
        self.exchange.begin_sample(Direction::Down, &head.headers);
        let Some(mut answer) = plan.answer else {
            return Ok(Response::from_parts(head, self.passed(Body::incoming(incoming), lease)));
        };
        drop_phrase(&mut head);
        let body = match answer.head(&mut head) {
            AnswerBody::Map(map) => Body::incoming(incoming).mapped(map),
            AnswerBody::Collect { limit, finish, overlong } if has_body(method, &head) => {
                match collect(incoming, limit).await {
                    Ok(Collected::Whole(bytes)) => {
                        lease.release();
                        self.exchange.count(Direction::Down, bytes.len());
                        let bytes = finish(bytes, &mut head)?;
                        self.exchange.sample(Direction::Down, &bytes);
                        set_length(&mut head.headers, &bytes);
                        return Ok(Response::from_parts(head, Body::full(bytes)));
                    }
                    Ok(Collected::TooLong(ahead, rest)) => match overlong {
                        Overlong::Refuse(refusal) => return Err(refusal.into()),
                        Overlong::Stream(map) => Body::prefixed(ahead, rest).maybe_mapped(map),
                    },
                    Err(error) => return Err(lost(&error).into()),
                }
            }
            AnswerBody::Stream | AnswerBody::Collect { .. } => Body::incoming(incoming),
            AnswerBody::Replace(response) => return Ok(response.map(Body::full)),
        };
        Ok(Response::from_parts(head, self.passed(body.observed(answer), lease)))
    }

    fn passed(&self, body: Body, lease: Lease) -> Body {
        body.counted(Arc::clone(self.exchange), Direction::Down).cut_by(self.cuts).leased(lease)
    }

    /// Joins both sides of a WebSocket.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        upgrade: Requested,
        plan: ForwardPlan,
    ) -> Result<Response<Body>, Failure> {
        if !upgrade.is_accepted(response.headers()) {
            return Err(broken("the host accepted another WebSocket than was asked for").into());
        }
        let host = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        headers::strip_answer(&mut head);
        let mut maps = Default::default();
        if let Some(mut answer) = plan.answer {
            drop_phrase(&mut head);
            if let AnswerBody::Replace(response) = answer.head(&mut head) {
                return Ok(response.map(Body::full));
            }
            maps = answer.upgraded();
        }
        upgrade.confirm(&mut head.status, &mut head.headers);
        let run = &self.lane.run;
        let exchange = Arc::clone(self.exchange);
        let (cuts, cutting) = (self.cuts.to_vec(), Arc::clone(self.exchange));
        let idle = run.shared.limits.tunnel_idle;
        let relay = async move {
            let (Ok(client), Ok(host)) = tokio::join!(upgrade.client, host) else { return };
            let host = TokioIo::new(host);
            tunnel::relay(upgrade::stream(client), host, maps, &exchange, idle).await;
        };
        run.tasks.spawn(async move {
            tokio::select! {
                () = Box::pin(relay) => {}
                reason = first_of(&cuts) => cutting.reason(reason.as_str()),
            }
        });
        Ok(Response::from_parts(head, Body::empty()))
    }
}

/// Copies a request without a body. The case of its field names, which is an extension, would cost
/// more than all else, and is of no matter where a request has to be sent again.
fn copy_of(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn set_length(headers: &mut http::HeaderMap, body: &Bytes) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
}

/// Whether an answer has a body at all, so that `Content-Length` speaks of it.
fn has_body(method: &Method, head: &response::Parts) -> bool {
    let without = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    method != Method::HEAD && !without.contains(&head.status)
}

/// Drops the reason phrase, which nobody looks into: a host may repeat there what it was sent.
fn drop_phrase(head: &mut response::Parts) {
    head.extensions.remove::<ReasonPhrase>();
}

fn broken(text: &'static str) -> Refusal {
    Refusal::new(Reason::UpstreamProtocol).about(text)
}

/// Tells a host that went away from one that broke the protocol.
fn lost(error: &hyper::Error) -> Refusal {
    tracing::debug!(%error, "a request to a host failed");
    if error.is_parse() || error.is_user() {
        return broken("the host's answer is malformed");
    }
    Refusal::new(Reason::UpstreamReset)
}
