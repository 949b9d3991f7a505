//! Replacing a placeholder by its secret at a declared position.

use std::borrow::Cow;

use http::HeaderName;

use super::SecretRef;
use crate::{CredentialKey, Placeholder, Target};

/// Replaces a placeholder by a secret at one declared position of matching requests.
///
/// The decoded value at the position is compared as a whole; a placeholder inside longer text, or
/// anywhere else, stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitution {
    target: Target,
    position: Position,
    placeholder: Placeholder,
    secret: SecretRef,
    body_limit: usize,
}

impl Substitution {
    /// Makes a substitution; a body that has to be read may have 64 KiB.
    #[must_use]
    pub fn new(
        target: Target,
        position: Position,
        placeholder: Placeholder,
        secret: SecretRef,
    ) -> Self {
        Self { target, position, placeholder, secret, body_limit: 64 * 1024 }
    }

    /// Sets how many bytes of a body are held at most to look for the position. A longer body is
    /// refused, not passed on with the placeholder in it.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Returns which requests match.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns where the placeholder stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Returns the placeholder.
    #[must_use]
    pub fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }

    /// Returns the secret that takes its place.
    #[must_use]
    pub fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// Returns the grant whose rule this is.
    #[must_use]
    pub fn grant(&self) -> &CredentialKey {
        self.secret.grant()
    }

    /// Returns how many bytes of a body may be held; `None` when the position is in the head.
    #[must_use]
    pub fn held_body(&self) -> Option<usize> {
        self.position.is_in_body().then_some(self.body_limit)
    }
}

/// A position in a request.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// A segment of the path, behind a literal prefix: `bot` in `/bot<token>/getMe`.
    PathSegment {
        /// What precedes the placeholder within the segment; often nothing.
        prefix: Cow<'static, str>,
    },
    /// A key of the query.
    QueryKey(Cow<'static, str>),
    /// A header: its value, or what follows one scheme word.
    Header(HeaderName),
    /// A WebSocket subprotocol (RFC 6455, section 11.3.4), behind a literal prefix.
    Subprotocol {
        /// What precedes the placeholder within the name.
        prefix: Cow<'static, str>,
    },
    /// A field of an `application/x-www-form-urlencoded` body.
    FormField(Cow<'static, str>),
    /// A string of a JSON body, by JSON pointer (RFC 6901).
    JsonField(Cow<'static, str>),
}

impl Position {
    /// Whether the position is in the body.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        matches!(self, Self::FormField(_) | Self::JsonField(_))
    }
}
