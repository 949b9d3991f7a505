//! Why the engine refuses something, and why it used no credential.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

/// Why a request or an answer is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineReason {
    /// The path can be read in two ways, and a rule fits one of them only (law L8).
    AmbiguousPath,
    /// A key of the query that authenticates is there in one reading of `;` only (law L8).
    AmbiguousQuery,
    /// The places that authenticate hold values that do not belong together (law L7).
    MixedCredentials,
    /// A placeholder of another run, or one that this run no longer has.
    StalePlaceholder,
    /// A credential of the client's own on a granted host, in a strict run.
    ClientCredential,
    /// An endpoint that issues credentials or lasting access (law L16).
    IssuingEndpoint,
    /// A GraphQL request whose operation cannot be read, where some operations are refused.
    UnreadableGraphql,
    /// A body that must be held is longer than the rule allows.
    BodyTooLong,
    /// A body that must be read is compressed.
    CompressedBody,
    /// A JSON body names one key twice on the way to a declared position.
    DuplicateKey,
    /// A request with the run's dummy key that was not signed with it.
    BadSignature,
    /// A form of signature that the provider does not know.
    UnsupportedSignature,
    /// The signer failed.
    SigningFailed,
    /// A secret does not fit where a rule puts it.
    UnfitSecret,
    /// The answer of an issuing endpoint whose fields cannot be held.
    UnreadableAnswer,
    /// The answer of an issuing endpoint is too long to be held.
    AnswerTooLong,
    /// A response transformer failed.
    TransformFailed,
}

impl EngineReason {
    /// Returns the stable code: `stale-placeholder`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Returns the status with which the client is answered.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Returns what happened, for a person.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.row().2
    }

    /// Returns what the person can do.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        self.row().3
    }

    const fn row(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::AmbiguousPath => (
                "ambiguous-path",
                StatusCode::BAD_REQUEST,
                "the path can be read in two ways, and a rule covers only one of them",
                "send the path without dot segments, encoded slashes, backslashes, ; and //",
            ),
            Self::AmbiguousQuery => (
                "ambiguous-query",
                StatusCode::BAD_REQUEST,
                "the query can be read in two ways, and only one of them authenticates",
                "separate the parts of the query by & and encode ; as %3B",
            ),
            Self::MixedCredentials => (
                "mixed-credentials",
                StatusCode::BAD_REQUEST,
                "the request carries several credentials that do not belong together",
                "send the placeholder alone, or no credential at all",
            ),
            Self::StalePlaceholder => (
                "stale-placeholder",
                StatusCode::UNAUTHORIZED,
                "the request carries a placeholder that does not belong to this run",
                "read the credential from this run's environment and files again",
            ),
            Self::ClientCredential => (
                "client-credential",
                StatusCode::FORBIDDEN,
                "the request carries a credential of its own, which a strict run does not let pass",
                "send the placeholder or no credential, or start the run in permissive mode",
            ),
            Self::IssuingEndpoint => (
                "issuing-endpoint",
                StatusCode::FORBIDDEN,
                "the endpoint issues credentials or access that would outlive the run",
                "do this outside of the sandbox",
            ),
            Self::UnreadableGraphql => (
                "unreadable-graphql",
                StatusCode::FORBIDDEN,
                "the GraphQL operation cannot be read, and some operations here issue access",
                "send the text of the operation, as JSON and without compression",
            ),
            Self::BodyTooLong => (
                "body-too-long",
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is longer than what may be held to look for a placeholder or to sign",
                "send a smaller body",
            ),
            Self::CompressedBody => (
                "compressed-body",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body is compressed, and a rule has to read it",
                "send the body without Content-Encoding",
            ),
            Self::DuplicateKey => (
                "duplicate-key",
                StatusCode::BAD_REQUEST,
                "the JSON body names a key twice where a placeholder is replaced",
                "name each key once",
            ),
            Self::BadSignature => (
                "bad-signature",
                StatusCode::FORBIDDEN,
                "the request was not signed with the key that this run was given",
                "sign with the key from the run's environment or files",
            ),
            Self::UnsupportedSignature => (
                "unsupported-signature",
                StatusCode::BAD_REQUEST,
                "the request is signed in a way that the provider does not know",
                "use another version of the signature",
            ),
            Self::SigningFailed => (
                "signing-failed",
                StatusCode::BAD_GATEWAY,
                "the request could not be signed",
                "look at the host's log",
            ),
            Self::UnfitSecret => (
                "unfit-secret",
                StatusCode::BAD_GATEWAY,
                "the secret has characters that cannot stand where the rule puts it",
                "grant the credential again",
            ),
            Self::UnreadableAnswer => (
                "unreadable-answer",
                StatusCode::BAD_GATEWAY,
                "the answer issues a credential in a form that cannot be kept from the container",
                "do this outside of the sandbox",
            ),
            Self::AnswerTooLong => (
                "answer-too-long",
                StatusCode::BAD_GATEWAY,
                "the answer issues a credential and is too long to be held",
                "do this outside of the sandbox",
            ),
            Self::TransformFailed => (
                "transform-failed",
                StatusCode::BAD_GATEWAY,
                "the provider could not change the answer",
                "look at the host's log",
            ),
        }
    }
}

impl fmt::Display for EngineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the reason, the rule that is behind it, and details that are not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: EngineReason,
    rule: Option<Arc<str>>,
    detail: Option<Cow<'static, str>>,
}

impl Refusal {
    pub(super) fn new(reason: EngineReason) -> Self {
        Self { reason, rule: None, detail: None }
    }

    pub(super) fn by(mut self, rule: &Arc<str>) -> Self {
        self.rule = Some(rule.clone());
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> EngineReason {
        self.reason
    }

    /// Returns the label of the rule that is behind it.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

/// The reason's text and the details.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.text())?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl From<EngineReason> for Refusal {
    fn from(reason: EngineReason) -> Self {
        Self::new(reason)
    }
}

/// Why no credential was put into a request that went on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotUsed {
    /// No rule for this host has a credential.
    NoRule,
    /// The host is an address, and credentials only go to names (law L6).
    Address,
    /// The host's rules are for other paths.
    NotThisPath,
    /// The host's rules are for other methods.
    NotThisMethod,
    /// The rules that fit wait for their placeholder, which did not come.
    NoPlaceholder,
    /// The client brought a credential of its own.
    ClientCredential,
    /// A placeholder of this run came that is for another place.
    OtherPlaceholder,
}

impl NotUsed {
    /// Returns the stable code: `not-this-path`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no-rule",
            Self::Address => "address",
            Self::NotThisPath => "not-this-path",
            Self::NotThisMethod => "not-this-method",
            Self::NoPlaceholder => "no-placeholder",
            Self::ClientCredential => "client-credential",
            Self::OtherPlaceholder => "other-placeholder",
        }
    }
}

impl fmt::Display for NotUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
