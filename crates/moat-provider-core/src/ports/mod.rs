//! Ports: every effect that a provider has outside its own memory.
//!
//! A provider reads no environment, opens no file, starts no program and knows no clock; it asks
//! the [`HostContext`] or [`GrantContext`] that it is handed. Tests hand it fakes, a host the real
//! thing.

mod command;
mod context;
mod files;
mod http;
mod terminal;

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

pub use self::command::{CommandOutput, CommandRunner, CommandSpec};
pub use self::context::{GrantContext, GrantContextBuilder, HostContext, HostContextBuilder};
pub use self::files::{FileSystem, HostDir, HostFile, HostPath};
pub use self::http::{HttpClient, Timeout, retry_after};
pub use self::terminal::{Answer, PendingRedirect, RedirectListener, Terminal};
use crate::{BoxFuture, Result, Secret};

/// Tells and spends time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the time of day, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// Completes after a while.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// Draws random bytes that nobody can predict.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills a buffer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the system has none to give.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;
}

/// Reads the environment of the person who grants.
pub trait Environment: fmt::Debug + Send + Sync {
    /// Returns a variable; `None` when it is not set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the value is not UTF-8, and
    /// [`ErrorKind::PortMissing`](crate::ErrorKind::PortMissing) when the context has no
    /// environment.
    fn var(&self, name: &str) -> Result<Option<Secret>>;
}
