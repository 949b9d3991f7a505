//! The person: questions, guidance, the browser.

use std::fmt;
use std::time::Duration;

use super::CommandSpec;
use crate::{BoxFuture, Result, Secret};

/// A yes or a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Talks to the person who grants.
///
/// Text is shown with control characters escaped (law L18); it holds no secret. Every question
/// fails with [`ErrorKind::NotInteractive`](crate::ErrorKind::NotInteractive) when there is nobody
/// to ask and with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) on Ctrl-C or at the end of
/// input.
pub trait Terminal: fmt::Debug + Send + Sync {
    /// Shows text: guidance before a question, what was found.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when nothing can be shown.
    fn tell<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Asks for a line of text, shown while it is typed. The answer is trimmed.
    ///
    /// # Errors
    ///
    /// Those of the trait.
    fn ask<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<String>>;

    /// Asks for a secret, hidden while it is typed or pasted. The answer is trimmed.
    ///
    /// # Errors
    ///
    /// Those of the trait.
    fn ask_secret<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Secret>>;

    /// Asks for a yes or a no; Enter alone means `default`.
    ///
    /// # Errors
    ///
    /// Those of the trait.
    fn confirm<'a>(&'a self, question: &'a str, default: Answer) -> BoxFuture<'a, Result<Answer>>;

    /// Asks for one of several choices and returns its index; Enter alone means the first.
    ///
    /// # Errors
    ///
    /// Those of the trait, and [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when
    /// there is no choice.
    fn choose<'a>(
        &'a self,
        question: &'a str,
        choices: &'a [&'a str],
    ) -> BoxFuture<'a, Result<usize>>;

    /// Runs a program on the person's terminal and returns its exit code, `None` after a signal.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CommandNotFound`](crate::ErrorKind::CommandNotFound), and those of the trait.
    fn run_attached<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<Option<i32>>>;

    /// Opens an https URL in the person's browser.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when there is no browser: the
    /// caller then shows the URL.
    fn open_url<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// Waits on loopback for the browser to come back from an OAuth authorization (RFC 8252, section
/// 7.3).
pub trait RedirectListener: fmt::Debug + Send + Sync {
    /// Starts to listen on a port of the system's choice, for `GET` on this path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when no port can be bound.
    fn listen<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Box<dyn PendingRedirect>>>;
}

/// A listener that waits for one redirect.
pub trait PendingRedirect: fmt::Debug + Send {
    /// Returns the URI to send to the authorization server.
    fn redirect_uri(&self) -> &str;

    /// Waits for the redirect that carries this `state`, and returns its query string. Others are
    /// ignored, so a stranger cannot end the wait.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) after `limit`.
    fn receive(
        self: Box<Self>,
        state: Secret,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Secret>>;
}
