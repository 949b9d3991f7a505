//! What is the same for all requests that come in one way.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;

use crate::Host;
use crate::plane::body::Body;
use crate::plane::destination::Destination;
use crate::plane::run::{InForce, Run};
use crate::plane::seam::Channel;
use crate::plane::upstream::Slot;

/// A way that requests come in: a tunnel with its host, or the proxy's own port.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) run: Arc<Run>,
    pub(crate) channel: Channel,
    /// Where requests go; `None` for those to the proxy itself.
    pub(crate) destination: Option<Destination>,
    pub(crate) sni: Option<String>,
    /// Whether the client's handshake named the host of the CONNECT request, or none.
    pub(crate) sni_agrees: bool,
    /// Where the last request found its connection: most likely the next one does too.
    slot: Mutex<Option<Arc<Slot>>>,
}

impl Lane {
    pub(crate) fn new(run: Arc<Run>, channel: Channel, destination: Option<Destination>) -> Self {
        let slot = Mutex::default();
        Self { run, channel, destination, sni: None, sni_agrees: true, slot }
    }

    /// Makes the lane of a tunnel whose TLS ends here.
    pub(crate) fn intercepted(
        run: Arc<Run>,
        destination: Destination,
        sni: Option<String>,
    ) -> Self {
        let host = destination.authority.host();
        let agrees = |sni: &str| Host::parse_sni(sni).is_ok_and(|name| name == *host);
        Self {
            sni_agrees: sni.as_deref().is_none_or(agrees),
            sni,
            ..Self::new(run, Channel::Intercepted, Some(destination))
        }
    }

    /// Returns where the run keeps connections to the destination.
    pub(crate) fn slot(
        &self,
        handler: &InForce,
        destination: &Destination,
        identity: u64,
    ) -> Arc<Slot> {
        let mut last = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(slot) if slot.serves(handler, identity) => Arc::clone(slot),
            _ => {
                let slot = self.run.pool.slot(handler, destination, identity);
                Arc::clone(last.insert(slot))
            }
        }
    }
}

/// Turns an answer of our own into one to send.
pub(crate) fn answer(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}
