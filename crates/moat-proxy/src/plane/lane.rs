//! What is the same for all requests that come in one way.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::Host;
use crate::plane::body::Body;
use crate::plane::destination::Destination;
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
    /// Whether the client's handshake named the host of the CONNECT request, or none.
    pub(crate) sni_agrees: bool,
}

impl Lane {
    pub(crate) fn new(run: Arc<Run>, channel: Channel, destination: Option<Destination>) -> Self {
        Self { run, channel, destination, sni: None, sni_agrees: true }
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
}

/// Turns an answer of our own into one to send.
pub(crate) fn answer(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}
