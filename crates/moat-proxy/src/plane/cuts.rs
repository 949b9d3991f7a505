//! What ends an exchange before its time.

use std::task::Poll;

use tokio_util::sync::CancellationToken;

use crate::Reason;
use crate::plane::lane::Lane;
use crate::plane::seam::{Channel, ForwardPlan};

/// What ends an exchange, and why.
pub(crate) type Cuts = [(CancellationToken, Reason)];

/// Returns what may end an exchange that is forwarded.
pub(crate) fn cuts(lane: &Lane, plan: &ForwardPlan) -> Vec<(CancellationToken, Reason)> {
    let revoked = plan.cuts.iter().map(|token| (token.clone(), Reason::Revoked));
    // What ends with the tunnel in other lanes ends with this in that of plain http.
    let stop =
        (lane.channel != Channel::Intercepted).then(|| (lane.run.stop.clone(), Reason::RunStopped));
    revoked.chain(stop).collect()
}

/// Completes when the exchange must end.
pub(crate) async fn first_of(cuts: &Cuts) -> Reason {
    let mut waiting: Vec<_> =
        cuts.iter().map(|(token, reason)| (Box::pin(token.cancelled()), *reason)).collect();
    std::future::poll_fn(|cx| {
        let fired = waiting
            .iter_mut()
            .find_map(|(token, reason)| token.as_mut().poll(cx).is_ready().then_some(*reason));
        fired.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
