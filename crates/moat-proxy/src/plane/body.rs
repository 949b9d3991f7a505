//! Bodies on their way through: counted, mapped, cut.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::Reason;
use crate::plane::error::Abort;
use crate::plane::headers::strip_trailers;
use crate::plane::record::{Direction, Exchange};
use crate::plane::seam::{AnswerHandler, BodyMap, Cut};
use crate::plane::upstream::Lease;

/// A body, of a request to a host or of an answer to a client.
pub(crate) struct Body {
    source: Source,
    exchange: Option<(Arc<Exchange>, Direction)>,
    /// The connection that the body comes from; kept until its end.
    lease: Option<Lease>,
    extra: Option<Box<Extra>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
}

enum Source {
    Empty,
    Full(Option<Bytes>),
    Incoming(Incoming),
    /// What was read ahead, and the rest.
    Prefixed(Box<(VecDeque<Bytes>, Incoming)>),
}

/// What most bodies do without.
#[derive(Default)]
struct Extra {
    map: Option<Box<dyn BodyMap>>,
    answer: Option<Box<dyn AnswerHandler>>,
    cuts: Vec<(Pin<Box<WaitForCancellationFutureOwned>>, &'static str)>,
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    patience: Option<Pin<Box<tokio::time::Sleep>>>,
    trailers: Option<HeaderMap>,
    finished: bool,
    /// What the body ends with, after its last bytes.
    failed: Option<Abort>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::from_source(Source::Empty)
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::from_source(Source::Full(Some(bytes)))
    }

    pub(crate) fn incoming(incoming: Incoming) -> Self {
        Self::from_source(Source::Incoming(incoming))
    }

    pub(crate) fn prefixed(ahead: VecDeque<Bytes>, rest: Incoming) -> Self {
        Self::from_source(Source::Prefixed(Box::new((ahead, rest))))
    }

    fn from_source(source: Source) -> Self {
        Self { source, exchange: None, lease: None, extra: None, state: State::Open }
    }

    /// Counts what passes.
    pub(crate) fn counted(mut self, exchange: Arc<Exchange>, direction: Direction) -> Self {
        self.exchange = Some((exchange, direction));
        self
    }

    pub(crate) fn mapped(mut self, map: Box<dyn BodyMap>) -> Self {
        self.extra().map = Some(map);
        self
    }

    pub(crate) fn maybe_mapped(mut self, map: Option<Box<dyn BodyMap>>) -> Self {
        if map.is_some() {
            self.extra().map = map;
        }
        self
    }

    /// Shows the trailers to the one who saw the answer's head.
    pub(crate) fn observed(mut self, answer: Box<dyn AnswerHandler>) -> Self {
        self.extra().answer = Some(answer);
        self
    }

    /// Ends the body with an error when one of the tokens is cancelled.
    pub(crate) fn cut_by(mut self, tokens: &[(CancellationToken, Reason)]) -> Self {
        for (token, why) in tokens {
            let token = token.clone().cancelled_owned();
            self.extra().cuts.push((Box::pin(token), why.as_str()));
        }
        self
    }

    /// Holds the body back until a token is cancelled, but no longer than a while.
    pub(crate) fn gate(&mut self, open: CancellationToken, limit: Duration) {
        let gate = async move { _ = tokio::time::timeout(limit, open.cancelled_owned()).await };
        self.extra().gate = Some(Box::pin(gate));
    }

    /// Gives the connection back at the end of the body, and closes it when the body is dropped
    /// before.
    pub(crate) fn leased(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self.release_at_end();
        self
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn release_at_end(&mut self) {
        let pending = self.extra.as_ref().is_some_and(|extra| extra.is_pending());
        if self.source.is_end_stream() && !pending {
            self.done();
        }
    }

    fn done(&mut self) {
        self.state = State::Done;
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    fn fail(&mut self, abort: Abort) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        self.state = State::Done;
        self.lease = None;
        if let Some((exchange, _)) = &self.exchange {
            exchange.reason(abort.reason());
        }
        Poll::Ready(Some(Err(abort)))
    }

    /// What a failure of the source means.
    fn fault(&self) -> Reason {
        match self.exchange {
            Some((_, Direction::Up)) => Reason::ClientAborted,
            _ => Reason::UpstreamReset,
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match ready!(self.source.poll(cx)) {
            Some(Ok(mut frame)) => {
                if let (Some(data), Some((exchange, way))) = (frame.data_ref(), &self.exchange) {
                    exchange.count(*way, data.len());
                    if *way == Direction::Up {
                        // Before a map puts a secret in.
                        exchange.sample(Direction::Up, data);
                    }
                }
                if let Some(trailers) = frame.trailers_mut() {
                    strip_trailers(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(Abort::because(self.fault(), error)))),
            None => Poll::Ready(None),
        }
    }

    /// The way of a body that somebody looks at.
    fn poll_extra(
        &mut self,
        extra: &mut Extra,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        if let Some(abort) = extra.failed.take() {
            return Poll::Ready(Some(Err(abort)));
        }
        extra.poll_cuts(cx)?;
        if let Some(gate) = &mut extra.gate {
            ready!(gate.as_mut().poll(cx));
            extra.gate = None;
        }
        if extra.finished {
            return Poll::Ready(
                extra.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            );
        }
        loop {
            let frame = match self.poll_source(cx) {
                Poll::Pending => return extra.poll_patience(cx),
                Poll::Ready(Some(frame)) => Some(frame?),
                Poll::Ready(None) => None,
            };
            extra.patience = None;
            let frame = match frame.map(Frame::into_data) {
                // hyper asks for nothing beyond `Content-Length`: what ends with these bytes has to
                // end now, or it is taken for a body that nobody wanted to the end.
                Some(Ok(data)) => match extra.push(data, self.source.is_end_stream())? {
                    Some(data) => Frame::data(data),
                    None if extra.finished => return Poll::Ready(extra.failed.take().map(Err)),
                    None => continue,
                },
                Some(Err(frame)) => return Poll::Ready(extra.end(frame.into_trailers().ok())),
                None => return Poll::Ready(extra.end(None)),
            };
            return Poll::Ready(Some(Ok(frame)));
        }
    }
}

impl Extra {
    /// Whether something may come after the end of the source.
    fn is_pending(&self) -> bool {
        (self.map.is_some() && !self.finished) || self.trailers.is_some() || self.failed.is_some()
    }

    fn poll_cuts(&mut self, cx: &mut Context<'_>) -> Result<(), Abort> {
        for (cut, reason) in &mut self.cuts {
            if cut.as_mut().poll(cx).is_ready() {
                return Err(Abort::new(reason));
            }
        }
        Ok(())
    }

    fn push(&mut self, data: Bytes, is_last: bool) -> Result<Option<Bytes>, Abort> {
        self.finished = is_last;
        let Some(map) = &mut self.map else { return Ok(Some(data)) };
        let data = match map.push(data) {
            Ok(data) if is_last => {
                let rest = map.finish().unwrap_or_else(|cut| {
                    self.failed = Some(Abort::new(cut.reason()));
                    cut.last().clone()
                });
                if rest.is_empty() { data } else { [data, rest].concat().into() }
            }
            Ok(data) => data,
            Err(cut) => self.cut(cut)?,
        };
        Ok((!data.is_empty()).then_some(data))
    }

    /// Returns the last bytes of a body that must not go on; without any it ends at once.
    fn cut(&mut self, cut: Cut) -> Result<Bytes, Abort> {
        let abort = Abort::new(cut.reason());
        if cut.last().is_empty() {
            return Err(abort);
        }
        self.failed = Some(abort);
        Ok(cut.last().clone())
    }

    /// Arms a timer while a map holds bytes back, and makes it give them up.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        let Some(map) = &mut self.map else { return Poll::Pending };
        let Some(limit) = map.patience() else { return Poll::Pending };
        let sleep = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(sleep.as_mut().poll(cx));
        self.patience = None;
        let data = match map.flush() {
            Ok(data) => data,
            Err(cut) => self.cut(cut)?,
        };
        if data.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(data)))) }
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Result<Frame<Bytes>, Abort>> {
        self.finished = true;
        let rest = match self.map.as_mut().map(|map| map.finish()) {
            Some(Ok(rest)) => rest,
            Some(Err(cut)) => return Some(self.cut(cut).map(Frame::data)),
            None => Bytes::new(),
        };
        self.trailers = trailers.map(|mut trailers| {
            match (&mut self.answer, &mut self.map) {
                (Some(answer), _) => answer.trailers(&mut trailers),
                (None, Some(map)) => map.trailers(&mut trailers),
                (None, None) => {}
            }
            trailers
        });
        if rest.is_empty() {
            return self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)));
        }
        Some(Ok(Frame::data(rest)))
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Prefixed(parts) => match parts.0.pop_front() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Pin::new(&mut parts.1).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Incoming(incoming) => incoming.is_end_stream(),
            Self::Prefixed(parts) => parts.0.is_empty() && parts.1.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Incoming(incoming) => incoming.size_hint(),
            Self::Prefixed(..) => SizeHint::default(),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        let this = &mut *self;
        if this.state == State::Done {
            return Poll::Ready(None);
        }
        let polled = match this.extra.take() {
            Some(mut extra) => {
                let polled = this.poll_extra(&mut extra, cx);
                this.extra = Some(extra);
                polled
            }
            None => this.poll_source(cx),
        };
        match ready!(polled) {
            Some(Ok(frame)) => {
                if let (Some(data), Some((exchange, Direction::Down))) =
                    (frame.data_ref(), &this.exchange)
                {
                    exchange.sample(Direction::Down, data);
                }
                this.release_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(abort)) => this.fail(abort),
            None => {
                this.done();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let pending = self.extra.as_ref().is_some_and(|extra| extra.is_pending());
        self.state == State::Done || (self.source.is_end_stream() && !pending)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.extra {
            Some(extra) if extra.map.is_some() => SizeHint::default(),
            _ => self.source.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.state == State::Open && !self.is_end_stream() {
            if let Some((exchange, Direction::Down)) = &self.exchange {
                exchange.reason(Reason::ClientAborted.as_str());
            }
        } else if self.state == State::Open {
            self.done();
        }
    }
}

/// What was collected of a body.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// It is longer than the bound: what was read, and the rest.
    TooLong(VecDeque<Bytes>, Incoming),
}

/// Collects a body up to a bound. Trailers are left out.
pub(crate) async fn collect(mut body: Incoming, limit: usize) -> Result<Collected, hyper::Error> {
    let mut chunks = VecDeque::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        chunks.push_back(data);
        if length > limit {
            return Ok(Collected::TooLong(chunks, body));
        }
    }
    if chunks.len() == 1 {
        return Ok(Collected::Whole(chunks.pop_front().unwrap_or_default()));
    }
    let whole = chunks.iter().fold(BytesMut::with_capacity(length), |mut whole, chunk| {
        whole.extend_from_slice(chunk);
        whole
    });
    Ok(Collected::Whole(whole.freeze()))
}
