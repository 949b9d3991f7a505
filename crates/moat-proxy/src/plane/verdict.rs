//! Asking the handler about a request, again after it had to wait for something.

use std::sync::Arc;

use http::request;
use tokio::time::Instant;

use crate::plane::error::{Reason, Refusal};
use crate::plane::lane::Lane;
use crate::plane::seam::{Action, Defer, Handler, RequestPlace, Verdict};

/// How often a handler is asked about one request.
const ASKS: usize = 3;

/// Returns what happens to a request. Whoever waits for it may drop it at any time.
pub(crate) async fn of(
    lane: &Lane,
    head: &mut request::Parts,
    place: &RequestPlace<'_>,
) -> Result<Verdict, Refusal> {
    let defer = match ask(&***lane.run.handler(), head, place)? {
        Asked::Judged(verdict) => return Ok(verdict),
        Asked::Again(defer) => defer,
    };
    let again = Box::pin(again(lane, head, place, defer));
    lane.run.stop.run_until_cancelled(again).await.unwrap_or_else(|| {
        Err(Refusal::failed(Reason::RunStopped, "the run ended while the request waited"))
    })
}

async fn again(
    lane: &Lane,
    head: &mut request::Parts,
    place: &RequestPlace<'_>,
    mut defer: Defer,
) -> Result<Verdict, Refusal> {
    let late = |_| {
        let text = "what the request needs was not there in time";
        Refusal::failed(Reason::NotReady, text)
    };
    let end = Instant::now() + lane.run.shared.limits.defer;
    for _ in 1..ASKS {
        tokio::time::timeout_at(end, defer).await.map_err(late)?;
        // The handler that is in force now: what was waited for may have come with a swap.
        let handler = Arc::clone(&lane.run.handler());
        defer = match ask(&**handler, head, place)? {
            Asked::Judged(verdict) => return Ok(verdict),
            Asked::Again(defer) => defer,
        };
    }
    let text = "what the request needs was not there, however often it was asked for";
    Err(Refusal::failed(Reason::NotReady, text))
}

enum Asked {
    Judged(Verdict),
    /// The head is as it was.
    Again(Defer),
}

fn ask(
    handler: &dyn Handler,
    head: &mut request::Parts,
    place: &RequestPlace<'_>,
) -> Result<Asked, Refusal> {
    let copy = handler.may_defer().then(|| head.clone());
    let verdict = handler.request(head, place);
    match (verdict.action, copy) {
        (Action::Defer(defer), Some(copy)) => {
            *head = copy;
            Ok(Asked::Again(defer))
        }
        (Action::Defer(_), None) => {
            let text = "the handler deferred a request and had not said that it may";
            Err(Refusal::failed(Reason::Internal, text))
        }
        (action, _) => Ok(Asked::Judged(Verdict { action, note: verdict.note })),
    }
}
