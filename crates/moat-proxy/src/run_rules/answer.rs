//! What happens to an answer: rewritten, held, transformed, and scrubbed last.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, WARNING};
use http::{HeaderMap, HeaderValue, response};
use hyper::ext::ReasonPhrase;

use super::maps::{Closed, HoldMap, ScrubMap, WebSocketMap};
use super::{State, canned, locked};
use crate::engine::{self, AnswerBody as Planned, Collect, EngineReason, Plan};
use crate::plane::Refusal;
use crate::plane::seam::{AnswerBody, AnswerHandler, BodyMap, Cut, UpgradedMaps};
use crate::scrub::{Place, Scrubber};

/// Looks at one answer.
pub(super) struct Answer {
    state: Arc<State>,
    plan: Arc<Mutex<Plan>>,
    scrubber: Option<Scrubber>,
    websocket: Option<Box<dyn BodyMap>>,
}

impl Answer {
    pub(super) fn new(
        state: Arc<State>,
        plan: Arc<Mutex<Plan>>,
        scrubber: Option<Scrubber>,
    ) -> Self {
        Self { state, plan, scrubber, websocket: None }
    }

    /// Collects a body that is changed as a whole.
    fn collect(&self, collect: Collect, head: &mut response::Parts) -> AnswerBody {
        let coded = head.headers.get(CONTENT_ENCODING).is_some_and(|it| it != "identity");
        match (coded, collect.must_fit()) {
            (false, false) => {
                let (limit, finish) = (collect.limit(), self.finisher(collect));
                AnswerBody::Collect { limit, finish: Box::new(finish) }
            }
            // Whoever transforms gets nothing of a coded body; it streams as it is.
            (true, false) => self.scrubbed(head),
            (true, true) => refusal(EngineReason::UnreadableAnswer),
            (false, true) => {
                let (limit, finish) = (collect.limit(), self.finisher(collect));
                let mut copy = copy_of(head);
                // What stays on the host makes the body another length.
                head.headers.remove(CONTENT_LENGTH);
                let finish = move |body: Bytes| {
                    finish(body, &mut copy).map_err(|refusal| Cut { reason: refusal.reason() })
                };
                let finish: super::maps::Finish = Box::new(finish);
                let map = HoldMap { held: BytesMut::new(), limit, finish: Some(finish) };
                AnswerBody::Map(Box::new(map))
            }
        }
    }

    /// Makes what changes a collected body: fields are held, transformers run, and the rest is
    /// scrubbed.
    fn finisher(
        &self,
        collect: Collect,
    ) -> impl FnOnce(Bytes, &mut response::Parts) -> Result<Bytes, Refusal> + Send + use<> {
        let (state, plan, scrubber) =
            (Arc::clone(&self.state), Arc::clone(&self.plan), self.scrubber.clone());
        move |body, head| {
            let mut mint = |field: &engine::FieldToHold<'_>| state.mint(field);
            let done = collect.finish(locked(&plan).answer(), head, body, &mut mint)?;
            state.bind(done.held)?;
            let Some(scrubber) = scrubber else { return Ok(done.body) };
            let mut scrub = scrubber.text();
            let mut clean = BytesMut::new();
            for output in [scrub.push(done.body), scrub.finish()] {
                output.iter().for_each(|slice| clean.extend_from_slice(slice));
            }
            Ok(clean.freeze())
        }
    }

    fn scrubbed(&self, head: &response::Parts) -> AnswerBody {
        match &self.scrubber {
            Some(scrubber) => {
                AnswerBody::Map(Box::new(ScrubMap(scrubber.body(head.status, &head.headers))))
            }
            None => AnswerBody::Stream,
        }
    }
}

impl AnswerHandler for Answer {
    fn head(&mut self, head: &mut response::Parts) -> AnswerBody {
        let planned = locked(&self.plan).answer().on_head(head);
        if let Some(scrubber) = &self.scrubber {
            scrubber.scrub_headers(&mut head.headers, Place::Head);
            scrub_phrase(scrubber, head);
            // A 101 is answered by `upgraded`, which has no head any more.
            self.websocket = Some(match scrubber.websocket(&head.headers) {
                Ok(scrub) => Box::new(WebSocketMap(scrub)),
                Err(_) => Box::new(Closed),
            });
        }
        match planned {
            Err(refusal) => AnswerBody::Replace(Refusal::from(refusal).into_response()),
            Ok(Planned::Replace(answer)) => AnswerBody::Replace(canned(&answer)),
            Ok(Planned::Collect(collect)) => self.collect(collect, head),
            Ok(_) => self.scrubbed(head),
        }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        if let Some(scrubber) = &self.scrubber {
            scrubber.scrub_headers(trailers, Place::Trailer);
        }
    }

    fn upgraded(&mut self) -> UpgradedMaps {
        UpgradedMaps { up: None, down: self.websocket.take() }
    }
}

/// Drops a reason phrase that holds a secret: it says nothing that the status does not (RFC 9112,
/// section 4).
fn scrub_phrase(scrubber: &Scrubber, head: &mut response::Parts) {
    let Some(phrase) = head.extensions.get::<ReasonPhrase>() else { return };
    let holds = |value| {
        let mut alone = HeaderMap::from_iter([(WARNING, value)]);
        !scrubber.scrub_headers(&mut alone, Place::Head).is_empty()
    };
    if HeaderValue::from_bytes(phrase.as_bytes()).map_or(true, holds) {
        head.extensions.remove::<ReasonPhrase>();
    }
}

fn refusal(reason: EngineReason) -> AnswerBody {
    AnswerBody::Replace(Refusal::from(engine::Refusal::from(reason)).into_response())
}

/// Copies a head for a body that is finished after the head has gone.
fn copy_of(head: &response::Parts) -> response::Parts {
    let (mut copy, ()) = http::Response::new(()).into_parts();
    copy.status = head.status;
    copy.version = head.version;
    copy.headers = head.headers.clone();
    copy
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
