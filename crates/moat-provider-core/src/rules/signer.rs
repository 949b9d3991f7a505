//! Signing requests, so that no key enters a container.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, request};
use time::OffsetDateTime;

use super::SecretRef;
use crate::{CredentialKey, Placeholder, Result, SecretName, Secrets, Target};

/// Signs requests that were signed with a run's dummy key.
///
/// Synchronous: the host has resolved the secrets, and minted them if need be, before it calls.
pub trait RequestSigner: fmt::Debug + Send + Sync {
    /// Returns the headers that the signature sets; no other rule may claim them.
    fn claims(&self) -> &[HeaderName];

    /// Verifies that the request was signed with the dummy key, signs the head, and says how the
    /// body takes part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`](crate::ErrorKind::Unauthenticated) when the request was not
    /// signed with the dummy key, [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a
    /// form of signature that it does not know,
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for a request that the
    /// grant is not for. The client is told the message and the hint of these three, so neither may
    /// say what the container must not know. Of any other error it learns that signing failed.
    fn sign(
        &self,
        head: &mut request::Parts,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<BodySigning>;

    /// Writes what a client is told whose request was not signed, as the vendor's programs read
    /// errors; they show nothing of a body in another form.
    ///
    /// `message` is printable ASCII. The head is as it was when signing failed. `None`, the default,
    /// leaves the proxy to its own JSON.
    fn refusal(&self, head: &request::Parts, message: &str) -> Option<RefusalBody> {
        _ = (head, message);
        None
    }
}

/// The body of an answer that refuses, in the form of a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalBody {
    media_type: HeaderValue,
    content: Bytes,
}

impl RefusalBody {
    /// Makes a body of a media type.
    #[must_use]
    pub fn new(media_type: HeaderValue, content: impl Into<Bytes>) -> Self {
        Self { media_type, content: content.into() }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(&self) -> &HeaderValue {
        &self.media_type
    }

    /// Returns the content.
    #[must_use]
    pub fn content(&self) -> &Bytes {
        &self.content
    }
}

/// How a body takes part in a signature.
#[non_exhaustive]
pub enum BodySigning {
    /// Not at all, or by a digest that stands in the head already: the body streams untouched.
    HeadOnly,
    /// As a whole: the proxy holds the body, calls `finish`, and sends head and body. A body above
    /// `limit` bytes is answered with 413.
    Whole {
        /// The bound in bytes.
        limit: usize,
        /// Completes the head once the body is known.
        finish: WholeBodySigner,
    },
    /// Piece by piece while it streams.
    Stream(Box<dyn BodySigner>),
}

/// Completes a head once the whole body is known.
pub type WholeBodySigner = Box<dyn FnOnce(&[u8], &mut request::Parts) -> Result<()> + Send>;

impl fmt::Debug for BodySigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadOnly => f.write_str("HeadOnly"),
            Self::Whole { limit, .. } => {
                f.debug_struct("Whole").field("limit", limit).finish_non_exhaustive()
            }
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}

/// Signs a body while it streams.
pub trait BodySigner: Send {
    /// Takes the client's next bytes and returns those to send now; possibly none.
    ///
    /// # Errors
    ///
    /// Any; the request to the vendor is then cut off.
    fn data(&mut self, chunk: Bytes) -> Result<Bytes>;

    /// Takes the end of the client's body and returns the last bytes to send.
    ///
    /// # Errors
    ///
    /// Any; the request to the vendor is then cut off.
    fn end(&mut self) -> Result<Bytes>;
}

/// A [`RequestSigner`], where it applies and what it needs.
#[derive(Clone, Debug)]
pub struct SigningRule {
    target: Target,
    grant: CredentialKey,
    secrets: Vec<SecretName>,
    placeholder: Placeholder,
    signer: Arc<dyn RequestSigner>,
}

impl SigningRule {
    /// Makes a rule. Of several on one target the one whose placeholder, the dummy key's id, stands
    /// in the request is used.
    #[must_use]
    pub fn new(
        target: Target,
        grant: &CredentialKey,
        secrets: impl IntoIterator<Item = SecretName>,
        placeholder: Placeholder,
        signer: Arc<dyn RequestSigner>,
    ) -> Self {
        let secrets = secrets.into_iter().collect();
        Self { target, grant: grant.clone(), secrets, placeholder, signer }
    }

    /// Returns which requests match.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the grant whose rule this is.
    #[must_use]
    pub fn grant(&self) -> &CredentialKey {
        &self.grant
    }

    /// Iterates over the secrets that the signer is handed.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        self.secrets.iter().map(|name| SecretRef::new(&self.grant, name.clone()))
    }

    /// Returns the id of the dummy key.
    #[must_use]
    pub fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }

    /// Returns the signer.
    #[must_use]
    pub fn signer(&self) -> &Arc<dyn RequestSigner> {
        &self.signer
    }
}
