//! OAuth redirects without a browser.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Error, ErrorKind, PendingRedirect, RedirectListener, Result, Secret,
};

use super::script::{Script, lock};

/// How many characters carry 128 bits in base64 (RFC 6749, section 10.10).
const LEAST_STATE: usize = 22;

/// A listener for OAuth redirects that never listens and answers from a script.
///
/// A path that the script does not expect, a step that was not taken, and a `state` that can be
/// guessed fail the test.
pub struct FakeRedirects {
    script: Script<Step>,
    states: Arc<Mutex<Vec<Secret>>>,
}

struct Step {
    path: String,
    brings: Brings,
}

enum Brings {
    /// The query without the state, which is added.
    Query(String),
    /// A redirect with a state of somebody else's.
    Stranger,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen at {}", self.path)
    }
}

impl FakeRedirects {
    /// Begins a script in which nobody listens.
    #[must_use]
    pub fn new() -> Self {
        Self { script: Script::new("the redirect listener"), states: Arc::default() }
    }

    /// Expects a listener at a path, to which the browser comes with this query (`code=…`) and the
    /// right `state`.
    #[must_use]
    pub fn expect(self, path: &str, query: &str) -> Self {
        self.push(path, Brings::Query(query.to_owned()))
    }

    /// Expects a listener at a path, to which the browser comes with a `state` of somebody else's.
    /// That is ignored, so the wait ends with [`ErrorKind::TimedOut`].
    #[must_use]
    pub fn expect_stranger(self, path: &str) -> Self {
        self.push(path, Brings::Stranger)
    }

    fn push(self, path: &str, brings: Brings) -> Self {
        self.script.push(Step { path: path.to_owned(), brings });
        self
    }

    /// Returns every `state` that was waited for. It should stand in the URL that was opened.
    #[must_use]
    pub fn states(&self) -> Vec<Secret> {
        lock(&self.states).clone()
    }

    /// Fails the test if a listener that was expected was not asked for.
    ///
    /// # Panics
    ///
    /// As it says. Dropping the fake does the same.
    pub fn verify(&self) {
        self.script.verify();
    }

    pub(crate) fn unused(&self) -> Option<String> {
        self.script.unused()
    }

    /// Makes whatever is not expected a port that cannot be bound.
    pub(crate) fn relax(&self) {
        self.script.relax();
    }
}

impl Default for FakeRedirects {
    fn default() -> Self {
        Self::new()
    }
}

impl RedirectListener for FakeRedirects {
    fn listen<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Box<dyn PendingRedirect>>> {
        Box::pin(async move {
            let asked = format!("listen at {path}");
            match self.script.take(&asked, |step| step.path == path) {
                Some(step) => Ok(Box::new(FakePending {
                    uri: format!("http://127.0.0.1:49152{path}"),
                    brings: step.brings,
                    states: Arc::clone(&self.states),
                }) as Box<dyn PendingRedirect>),
                None => Err(Error::new(ErrorKind::Io, "no port can be bound")),
            }
        })
    }
}

impl Drop for FakeRedirects {
    fn drop(&mut self) {
        self.script.verify_on_drop();
    }
}

impl fmt::Debug for FakeRedirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRedirects").finish_non_exhaustive()
    }
}

struct FakePending {
    uri: String,
    brings: Brings,
    states: Arc<Mutex<Vec<Secret>>>,
}

impl PendingRedirect for FakePending {
    fn redirect_uri(&self) -> &str {
        &self.uri
    }

    #[expect(clippy::disallowed_methods, reason = "the state goes through the browser")]
    fn receive(self: Box<Self>, state: Secret, _: Duration) -> BoxFuture<'static, Result<Secret>> {
        Box::pin(async move {
            let text = state.expose();
            assert!(
                text.len() >= LEAST_STATE,
                "the redirect listener was asked to wait for a state of {} characters: one that \
                 nobody can guess has at least {LEAST_STATE} (RFC 6749, section 10.10)",
                text.len()
            );
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!(
                text.bytes().all(plain),
                "the redirect listener was asked to wait for a state that a URL cannot carry as it \
                 is: use letters, digits and - . _ ~ (RFC 3986, section 2.3)"
            );
            lock(&self.states).push(state.clone());
            match self.brings {
                Brings::Query(query) => Ok(Secret::new(format!("{query}&state={text}"))),
                Brings::Stranger => {
                    Err(Error::new(ErrorKind::TimedOut, "the browser did not come back in time"))
                }
            }
        })
    }
}

impl fmt::Debug for FakePending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePending").finish_non_exhaustive()
    }
}
