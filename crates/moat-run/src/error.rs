//! Errors of runs: what kind, what happened, what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use moat_provider_core::{Error, ErrorKind};
use moat_store::StoreError;

use crate::grants::GrantProblem;

/// The result of calls in this crate.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// What went wrong with a run, as far as a caller acts on it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunErrorKind {
    /// Grants are missing or cannot be used: grant them.
    Grants,
    /// Two claims exclude each other: drop one, or name the default.
    Conflict,
    /// A secret would have gone into the sandbox: the run is refused.
    Leak,
    /// A program or a right that the sandbox needs is missing: install it.
    SandboxMissing,
    /// The sandbox did not start.
    SandboxFailed,
    /// What a person gave is malformed: correct it.
    InvalidInput,
    /// There is no such run.
    NotFound,
    /// The system failed otherwise.
    Io,
}

/// An error of a run.
///
/// One pointer wide. [`Display`](fmt::Display) prints the message alone, a lower-case fragment
/// without a full stop. No part of it is secret.
pub struct RunError(Box<Inner>);

struct Inner {
    kind: RunErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    problems: Vec<GrantProblem>,
}

impl RunError {
    /// Makes an error of a kind with a message.
    #[must_use]
    pub fn new(kind: RunErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
            problems: Vec::new(),
        }))
    }

    /// Makes the error of a run whose grants cannot be used: all of them in one message.
    #[must_use]
    pub fn of_grants(problems: Vec<GrantProblem>) -> Self {
        let mut message = String::from(match problems.len() {
            1 => "a grant cannot be used:",
            _ => "several grants cannot be used:",
        });
        for problem in &problems {
            message.push_str(&format!("\n  {problem}"));
        }
        let mut error = Self::new(RunErrorKind::Grants, message);
        let commands: Vec<_> = problems.iter().filter_map(GrantProblem::command).collect();
        if !commands.is_empty() {
            error = error.with_hint(commands.join("\n"));
        }
        error.0.problems = problems;
        error
    }

    /// Returns the grants that cannot be used, when that is what went wrong.
    #[must_use]
    pub fn problems(&self) -> &[GrantProblem] {
        &self.0.problems
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
    pub fn kind(&self) -> RunErrorKind {
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

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RunError");
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

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::CredentialNotFound | ErrorKind::CredentialExpired => RunErrorKind::Grants,
            ErrorKind::TokenRevoked | ErrorKind::Unauthenticated => RunErrorKind::Grants,
            ErrorKind::Conflict => RunErrorKind::Conflict,
            ErrorKind::InvalidInput => RunErrorKind::InvalidInput,
            _ => RunErrorKind::Io,
        };
        let converted = Self::new(kind, error.message().to_owned());
        match error.hint() {
            Some(hint) => converted.with_hint(hint.to_owned()),
            None => converted,
        }
        .with_source(error)
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<moat_proxy::plane::SetupError> for RunError {
    fn from(error: moat_proxy::plane::SetupError) -> Self {
        Self::new(RunErrorKind::Io, "the proxy cannot be set up").with_source(error)
    }
}

impl From<moat_proxy::Refusal> for RunError {
    fn from(refusal: moat_proxy::Refusal) -> Self {
        Self::new(RunErrorKind::Conflict, refusal.to_string())
    }
}
