//! What is the same for all requests that come in one way.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::plane::authority::Destination;
use crate::plane::body::Body;
use crate::plane::run::Run;
use crate::plane::seam::Channel;

/// A way that requests come in: a tunnel with its host, or the proxy's own port.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) run: Arc<Run>,
    pub(crate) channel: Channel,
    /// Where requests go; `None` for those to the proxy itself.
    pub(crate) destination: Option<Destination>,
    pub(crate) sni: Option<String>,
}

impl Lane {
    pub(crate) fn new(run: Arc<Run>, channel: Channel, destination: Option<Destination>) -> Self {
        Self { run, channel, destination, sni: None }
    }

    /// Whether the client's handshake named the host of the CONNECT request, or none.
    pub(crate) fn sni_agrees(&self) -> bool {
        let host = self.destination.as_ref().map(|destination| destination.authority.host());
        self.sni.as_deref().is_none_or(|sni| {
            let sni = sni.strip_suffix('.').unwrap_or(sni);
            host.is_some_and(|host| host.eq_ignore_ascii_case(sni))
        })
    }
}

/// Turns an answer of our own into one to send.
pub(crate) fn answer(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}
