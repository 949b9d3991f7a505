//! Errors of stores: what kind, what happened, what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use moat_provider_core::{CredentialKey, Error, ErrorKind};

/// The result of calls to a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What went wrong with a store, as far as a caller acts on it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// There is no such credential: grant it.
    NotFound,
    /// The record is whole as far as can be seen, and was encrypted with another key, for another
    /// profile or another credential: bring back the key, or revoke and grant anew.
    CannotDecrypt,
    /// The record is cut short or not a record at all: revoke it and grant anew.
    Damaged,
    /// The record was written by a newer version of this program: update.
    NewerFormat,
    /// The system does not let this user read or write it, or others could: correct the mode.
    NotPermitted,
    /// Somebody else saved or removed the credential since it was read: read it again.
    Conflict,
    /// There is a key, and it cannot be had right now, because the keyring is locked or not reached:
    /// unlock it. No second key is made.
    KeyUnavailable,
    /// There are records and no key any more: bring the key back, or begin anew.
    KeyMissing,
    /// What a person gave, such as the name of a profile, is malformed: correct it.
    InvalidInput,
    /// The disk is full: make room. What was stored before is still there.
    NoSpace,
    /// The system failed otherwise.
    Io,
}

/// An error of a store.
///
/// One pointer wide. [`Display`](fmt::Display) prints the message alone, a lower-case fragment
/// without a full stop. No part of it is secret.
pub struct StoreError(Box<Inner>);

struct Inner {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// Makes an error of a kind with a message.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), hint: None, source: None }))
    }

    /// Makes the error for a credential that is not there.
    #[must_use]
    pub fn not_found(key: &CredentialKey) -> Self {
        Self::new(StoreErrorKind::NotFound, format!("there is no credential {key}"))
            .with_hint(format!("moat grant {key}"))
    }

    /// Makes the error for a credential that somebody else changed since it was read.
    #[must_use]
    pub fn conflict(key: &CredentialKey) -> Self {
        Self::new(
            StoreErrorKind::Conflict,
            format!("the credential {key} was changed by another process in the meantime"),
        )
        .with_hint("run the command once more")
    }

    /// Adds what the person can do: best a command that can be pasted.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
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
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("StoreError");
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

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::NotFound => ErrorKind::CredentialNotFound,
            StoreErrorKind::Conflict => ErrorKind::Conflict,
            StoreErrorKind::InvalidInput => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        let Inner { message, hint, source, .. } = *error.0;
        let mut converted = Self::new(kind, message);
        if let Some(hint) = hint {
            converted = converted.with_hint(hint);
        }
        match source {
            Some(source) => converted.with_source(source),
            None => converted,
        }
    }
}
