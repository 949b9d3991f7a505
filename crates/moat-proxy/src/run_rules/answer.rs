//! What happens to an answer: rewritten, held, transformed, and scrubbed last.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, response};

use super::canned;
use super::maps::{Closed, Scrubbing};
use super::state::{State, locked};
use crate::Reason;
use crate::engine::{self, AnswerBody as Planned, Collect, Plan, Used};
use crate::plane::seam::{
    AnswerBody, AnswerHandler, BodyMap, FinishAnswer, Overlong, UpgradedMaps,
};
use crate::scrub::{Place, Scrubber, decode_whole};

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
    fn collect(&self, collect: Collect, head: &response::Parts) -> AnswerBody {
        let limit = collect.limit();
        let overlong = if collect.must_fit() {
            Overlong::Refuse(Reason::AnswerTooLong.into())
        } else {
            Overlong::Stream(self.scrub(head))
        };
        AnswerBody::Collect { limit, finish: self.finisher(collect), overlong }
    }

    /// Makes what changes a collected body: its coding is undone, fields are held, transformers
    /// run, and the rest is scrubbed.
    fn finisher(&self, collect: Collect) -> FinishAnswer {
        let (state, plan, scrubber) =
            (Arc::clone(&self.state), Arc::clone(&self.plan), self.scrubber.clone());
        Box::new(move |body, head| {
            let limit = collect.limit();
            let Some(body) = decode_whole(head.status, &head.headers, body, limit) else {
                return Err(match collect.must_fit() {
                    true => Reason::UnreadableAnswer,
                    false => Reason::UndecodableAnswer,
                }
                .into());
            };
            let mut mint = |field: &engine::FieldToHold<'_>| state.mint(field);
            let plan = locked(&plan);
            let done = collect.finish(plan.answer(), head, body, &mut mint)?;
            if done.is_rejection {
                state.rejected(plan.used().iter().filter_map(Used::grant));
            }
            drop(plan);
            state.bind(&done.held)?;
            Ok(scrubber.map_or(done.body.clone(), |scrubber| clean(&scrubber, done.body)))
        })
    }

    fn scrub(&self, head: &response::Parts) -> Option<Box<dyn BodyMap>> {
        let scrubber = self.scrubber.as_ref()?;
        Some(Box::new(Scrubbing(scrubber.body(head.status, &head.headers))))
    }
}

impl AnswerHandler for Answer {
    fn head(&mut self, head: &mut response::Parts) -> AnswerBody {
        let planned = {
            let plan = locked(&self.plan);
            if head.status == StatusCode::UNAUTHORIZED {
                self.state.rejected(plan.used().iter().filter_map(Used::grant));
            }
            plan.answer().on_head(head)
        };
        if let Some(scrubber) = &self.scrubber {
            scrubber.scrub_headers(&mut head.headers, Place::Head);
            // A 101 is answered by `upgraded`, which has no head any more.
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                self.websocket = Some(match scrubber.websocket(&head.headers) {
                    Ok(scrub) => Box::new(Scrubbing(scrub)),
                    Err(_) => Box::new(Closed),
                });
            }
        }
        match planned {
            Err(refusal) => AnswerBody::Replace(refusal.response()),
            Ok(Planned::Replace(answer)) => AnswerBody::Replace(canned(&answer)),
            Ok(Planned::Collect(collect)) => self.collect(collect, head),
            Ok(Planned::Stream) => self.scrub(head).map_or(AnswerBody::Stream, AnswerBody::Map),
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

/// Scrubs a body that is there as a whole, without a coding.
fn clean(scrubber: &Scrubber, body: Bytes) -> Bytes {
    let mut scrub = scrubber.text();
    let mut clean = BytesMut::with_capacity(body.len());
    for output in [scrub.push(body), scrub.finish()] {
        output.iter().for_each(|slice| clean.extend_from_slice(slice));
    }
    clean.freeze()
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
