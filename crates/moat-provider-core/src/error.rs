//! Errors: what kind, what happened, what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::ProviderName;

/// The result of most calls in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller acts on it.
///
/// The first five are the specification's error values; each variant says what the *person* should
/// do, because that is what the kind decides.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No provider of that name is registered: check the spelling, or enable its feature.
    ProviderNotFound,
    /// There is no credential where one is needed: grant it.
    CredentialNotFound,
    /// The credential has expired and cannot be renewed: grant it again.
    CredentialExpired,
    /// The credential is static, a refresh makes no sense: nothing to do.
    RefreshNotSupported,
    /// The vendor has revoked the refresh token: grant again.
    TokenRevoked,
    /// The vendor does not accept the credential (401): grant a valid one.
    Unauthenticated,
    /// The vendor knows the credential and refuses this use (403): widen its permissions.
    PermissionDenied,
    /// The vendor asks to slow down: wait, see [`Error::retry_after`].
    RateLimited,
    /// The vendor answered that it is out of order (5xx): try again later.
    Unavailable,
    /// No answer arrived in time: try again, look at the network.
    TimedOut,
    /// The vendor was not reached at all: look at the network.
    Offline,
    /// The vendor's answer was not understood: check the host's name, or report a bug.
    UnexpectedAnswer,
    /// Something that the person or a configuration gave is malformed: correct it.
    InvalidInput,
    /// Two claims exclude each other: drop one, or name the default.
    Conflict,
    /// The context holds no such port: the embedding program must supply it.
    PortMissing,
    /// The program to be started is not installed: install it, or choose another source.
    CommandNotFound,
    /// There is nobody to ask: pass the value by a flag, the environment or standard input.
    NotInteractive,
    /// The person said no, or pressed Ctrl-C: nothing to do.
    Cancelled,
    /// The vendor offers no such operation: do it by hand, as the hint says.
    Unsupported,
    /// A file could not be read: look at its permissions.
    Io,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::TimedOut | Self::Offline)
    }
}

/// An error of a provider or of this crate.
///
/// One pointer wide. [`Display`](fmt::Display) prints the message alone, a lower-case fragment
/// without a full stop; the chain is reachable through [`std::error::Error::source`].
///
/// Every error of a grant has a hint, and so has every other one that does not pass by itself
/// ([`ErrorKind::is_transient`]).
///
/// Text must be static or made of parts that are not secret. The body of a vendor's answer never
/// becomes error text: vendors echo tokens.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind with a message.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Makes an error about malformed input.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Adds what the person can do: best a command that can be pasted.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause. It is printed to people, so it must hold no secret: no URL with a query,
    /// no part of an answer's body.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds how long the vendor asks to wait before the next try.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the message without hint and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what the person can do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns how long the vendor asks to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Turns the error into one that names the provider whose grant failed.
    #[must_use]
    pub fn in_grant_of(self, provider: &ProviderName) -> GrantError {
        GrantError { provider: provider.clone(), cause: self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(hint) = &self.0.hint {
            debug.field("hint", hint);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A grant that failed, with guidance.
///
/// [`Display`](fmt::Display) prints the cause, an empty line and the hint, as the specification has
/// it; a caller with a layout of its own asks [`GrantError::cause`].
#[derive(Debug)]
pub struct GrantError {
    provider: ProviderName,
    cause: Error,
}

impl GrantError {
    /// Returns the provider whose grant failed.
    #[must_use]
    pub fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Returns what happened.
    #[must_use]
    pub fn cause(&self) -> &Error {
        &self.cause
    }

    /// Returns the kind of the cause.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.cause.kind()
    }

    /// Returns what the person can do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.cause.hint()
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        match self.hint() {
            Some(hint) => write!(f, "\n\n{hint}"),
            None => Ok(()),
        }
    }
}

impl StdError for GrantError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}
