//! Asking the handler about a request, again after it had to wait for something.

use http::request;
use tokio::time::Instant;

use crate::plane::lane::Lane;
use crate::plane::seam::{Action, Defer, RequestPlace, Verdict};
use crate::{Reason, Refusal};

/// How often a handler is asked about one request.
const ASKS: usize = 3;

/// Returns what happens to a request. Whoever waits for it may drop it at any time.
pub(crate) async fn of(
    lane: &Lane,
    head: &mut request::Parts,
    place: &RequestPlace<'_>,
) -> Result<Verdict, Refusal> {
    let verdict = lane.run.handler().request(head, place);
    let Action::Defer(defer) = verdict.action else { return Ok(verdict) };
    let again = Box::pin(again(lane, head, place, defer));
    lane.run.stop.run_until_cancelled(again).await.unwrap_or_else(|| Err(Reason::RunStopped.into()))
}

async fn again(
    lane: &Lane,
    head: &mut request::Parts,
    place: &RequestPlace<'_>,
    mut defer: Defer,
) -> Result<Verdict, Refusal> {
    let end = Instant::now() + lane.run.shared.limits.defer;
    for _ in 1..ASKS {
        tokio::time::timeout_at(end, defer).await.map_err(|_| Reason::NotReady)?;
        // The handler that is in force now: what was waited for may have come with a swap.
        let verdict = lane.run.handler().request(head, place);
        match verdict.action {
            Action::Defer(next) => defer = next,
            _ => return Ok(verdict),
        }
    }
    Err(Refusal::new(Reason::NotReady).about("it was asked for several times"))
}
