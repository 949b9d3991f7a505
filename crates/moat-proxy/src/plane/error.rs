//! What ends an exchange, and what fails while a proxy is set up.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::Reason;

/// An exchange that ends without a proper end: the client's stream is reset.
#[derive(Debug)]
pub(crate) struct Abort {
    reason: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Abort {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, source: None }
    }

    /// Keeps the cause, in which hyper finds the reset code of the other hop.
    pub(crate) fn because(
        reason: Reason,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { reason: reason.as_str(), source: Some(source.into()) }
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange was cut: {}", self.reason)
    }
}

impl StdError for Abort {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error while a proxy is set up.
#[derive(Debug)]
pub struct SetupError {
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl SetupError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for SetupError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
