//! Signing and scrubbing, as the data plane's streams see them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use moat_provider_core::{BodySigner, Error};

use super::snapshot::Snapshot;
use crate::engine::why_not_signed;
use crate::plane::seam::{BodyMap, Cut};
use crate::scrub::{self, BodyScrub, Output, WebSocketScrub};
use crate::{Authority, Reason};

/// How long the beginning of what may become a secret is held back.
const PATIENCE: Duration = Duration::from_millis(50);

/// Signs a request's body while it streams.
pub(super) struct SignMap(pub(super) Box<dyn BodySigner>);

fn not_signed(error: Error) -> Cut {
    Cut::new(why_not_signed(&error).as_str())
}

impl BodyMap for SignMap {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        self.0.data(data).map_err(not_signed)
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        self.0.end().map_err(not_signed)
    }
}

impl fmt::Debug for SignMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignMap").finish_non_exhaustive()
    }
}

/// Drops trailers that a server could take for credentials.
pub(super) struct Trailers {
    snapshot: Arc<Snapshot>,
    authority: Authority,
}

impl Trailers {
    pub(super) fn new(snapshot: Arc<Snapshot>, authority: Authority) -> Self {
        Self { snapshot, authority }
    }
}

impl BodyMap for Trailers {
    fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
        Ok(data)
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        let (host, port) = (self.authority.host().as_text(), self.authority.port());
        self.snapshot.generation().clean_trailers(&host, port, trailers);
    }
}

impl fmt::Debug for Trailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trailers").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Scrubs what a host sends: a body, or a WebSocket.
#[derive(Debug)]
pub(super) struct Scrubbing<S>(pub(super) S);

/// Both kinds of scrubs have the same methods.
macro_rules! scrubbing {
    ($($scrub:ty),+) => {$(
        impl BodyMap for Scrubbing<$scrub> {
            fn push(&mut self, data: Bytes) -> Result<Bytes, Cut> {
                self.0.push(data).map(joined).map_err(cut)
            }

            fn finish(&mut self) -> Result<Bytes, Cut> {
                Ok(joined(self.0.finish()))
            }

            fn patience(&self) -> Option<Duration> {
                (self.0.held_len() > 0).then_some(PATIENCE)
            }

            fn flush(&mut self) -> Result<Bytes, Cut> {
                Ok(joined(self.0.flush()))
            }
        }
    )+};
}

scrubbing!(BodyScrub, WebSocketScrub);

/// Closes a stream that cannot be scrubbed.
#[derive(Debug)]
pub(super) struct Closed;

impl BodyMap for Closed {
    fn push(&mut self, _: Bytes) -> Result<Bytes, Cut> {
        Err(Cut::new(Reason::UnscannableExtension.as_str()))
    }

    fn finish(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }
}

fn cut(cut: scrub::Cut) -> Cut {
    Cut::new(cut.reason().as_str()).with_last(joined(cut.into_last()))
}

/// One slice as it is, several copied together.
fn joined(output: Output) -> Bytes {
    let mut slices = output.iter();
    match (slices.next(), slices.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => only.clone(),
        _ => output
            .iter()
            .fold(BytesMut::new(), |mut all, slice| {
                all.extend_from_slice(slice);
                all
            })
            .freeze(),
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{ErrorKind, Result as Signed};

    use super::*;

    struct Failing(ErrorKind);

    impl BodySigner for Failing {
        fn data(&mut self, _: Bytes) -> Signed<Bytes> {
            Err(Error::new(self.0, "no"))
        }

        fn end(&mut self) -> Signed<Bytes> {
            Err(Error::new(self.0, "no"))
        }
    }

    #[test]
    fn a_signer_that_fails_in_the_middle_says_why() {
        for (kind, reason) in [
            (ErrorKind::Unauthenticated, "bad-signature"),
            (ErrorKind::PermissionDenied, "signing-refused"),
            (ErrorKind::CredentialExpired, "signing-failed"),
        ] {
            let mut map = SignMap(Box::new(Failing(kind)));
            assert_eq!(map.push(Bytes::new()).unwrap_err().reason(), reason);
            assert_eq!(map.finish().unwrap_err().reason(), reason);
        }
    }
}
