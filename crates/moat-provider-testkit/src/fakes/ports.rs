//! All fakes together.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use moat_provider_core::{GrantContext, HostContext, HttpClient};

use super::{
    FakeClock, FakeCommands, FakeEntropy, FakeEnvironment, FakeFiles, FakeHttp, FakeRedirects,
    FakeTerminal,
};
use crate::Vendor;

/// A fake for every port, and the contexts made of them.
///
/// Without more, the environment and the files are empty, and a question, a command, a request or a
/// listener fails the test.
///
/// ```
/// use moat_provider_testkit::{Canary, FakeEnvironment, Ports, empty};
///
/// let canary = Canary::new();
/// let ports = Ports::new()
///     .with_environment(FakeEnvironment::new().secret("EXAMPLE_TOKEN", canary.secret()))
///     .with_vendor(|_: &http::Request<bytes::Bytes>| empty(401));
/// let cx = ports.grant_context();
/// assert!(cx.environment().var("EXAMPLE_TOKEN")?.is_some());
/// assert_eq!(ports.environment().reads(), ["EXAMPLE_TOKEN"]);
/// # Ok::<(), moat_provider_core::Error>(())
/// ```
pub struct Ports {
    clock: Arc<FakeClock>,
    entropy: Arc<FakeEntropy>,
    environment: Arc<FakeEnvironment>,
    terminal: Arc<FakeTerminal>,
    commands: Arc<FakeCommands>,
    files: Arc<FakeFiles>,
    http: Arc<FakeHttp>,
    redirects: Arc<FakeRedirects>,
}

impl Ports {
    /// Begins with the strict fakes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: Arc::default(),
            entropy: Arc::default(),
            environment: Arc::default(),
            terminal: Arc::default(),
            commands: Arc::default(),
            files: Arc::default(),
            http: Arc::new(FakeHttp::forbidden()),
            redirects: Arc::default(),
        }
    }

    /// Begins with a person of whom nothing is to be had: nobody sits at the terminal, no program is
    /// installed, there is no file, no variable and no network.
    #[must_use]
    pub fn bare() -> Self {
        Self::new()
            .with_terminal(FakeTerminal::not_interactive())
            .with_commands(FakeCommands::none_installed())
            .with_http(FakeHttp::offline())
            .relaxed()
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: FakeClock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the source of random bytes.
    #[must_use]
    pub fn with_entropy(mut self, entropy: FakeEntropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Sets the environment.
    #[must_use]
    pub fn with_environment(mut self, environment: FakeEnvironment) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    /// Sets the terminal.
    #[must_use]
    pub fn with_terminal(mut self, terminal: FakeTerminal) -> Self {
        self.terminal = Arc::new(terminal);
        self
    }

    /// Sets the starter of programs.
    #[must_use]
    pub fn with_commands(mut self, commands: FakeCommands) -> Self {
        self.commands = Arc::new(commands);
        self
    }

    /// Sets the files.
    #[must_use]
    pub fn with_files(mut self, files: FakeFiles) -> Self {
        self.files = Arc::new(files);
        self
    }

    /// Sets the HTTP client.
    #[must_use]
    pub fn with_http(mut self, http: FakeHttp) -> Self {
        self.http = Arc::new(http);
        self
    }

    /// Sets an HTTP client in whose place a vendor answers.
    #[must_use]
    pub fn with_vendor(self, vendor: impl Vendor + 'static) -> Self {
        self.with_http(FakeHttp::answered_by(vendor))
    }

    /// Sets an HTTP client of another kind, such as that of a double on loopback.
    #[must_use]
    pub fn with_client(self, client: Arc<dyn HttpClient>) -> Self {
        self.with_http(FakeHttp::through(client))
    }

    /// Sets the listener for redirects.
    #[must_use]
    pub fn with_redirects(mut self, redirects: FakeRedirects) -> Self {
        self.redirects = Arc::new(redirects);
        self
    }

    /// Lets the code under test leave the scripts: what they do not expect is refused with the
    /// port's own error, and what is not used is forgotten.
    #[must_use]
    pub fn relaxed(self) -> Self {
        self.terminal.relax();
        self.commands.relax();
        self.redirects.relax();
        self
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &FakeClock {
        &self.clock
    }

    /// Returns the environment.
    #[must_use]
    pub fn environment(&self) -> &FakeEnvironment {
        &self.environment
    }

    /// Returns the terminal.
    #[must_use]
    pub fn terminal(&self) -> &FakeTerminal {
        &self.terminal
    }

    /// Returns the starter of programs.
    #[must_use]
    pub fn commands(&self) -> &FakeCommands {
        &self.commands
    }

    /// Returns the files.
    #[must_use]
    pub fn files(&self) -> &FakeFiles {
        &self.files
    }

    /// Returns every request that was sent, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.http.requests()
    }

    /// Returns the listener for redirects.
    #[must_use]
    pub fn redirects(&self) -> &FakeRedirects {
        &self.redirects
    }

    /// Makes the context of refresh, mint and agents.
    #[must_use]
    pub fn host_context(&self) -> HostContext {
        HostContext::builder(Arc::clone(&self.clock) as _, Arc::clone(&self.entropy) as _)
            .http(Arc::clone(&self.http) as _)
            .commands(Arc::clone(&self.commands) as _)
            .files(Arc::clone(&self.files) as _)
            .build()
    }

    /// Makes the context of a grant.
    #[must_use]
    pub fn grant_context(&self) -> GrantContext {
        GrantContext::builder(self.host_context())
            .environment(Arc::clone(&self.environment) as _)
            .terminal(Arc::clone(&self.terminal) as _)
            .redirects(Arc::clone(&self.redirects) as _)
            .build()
    }

    /// Fails the test if a step of a script was not taken.
    ///
    /// # Panics
    ///
    /// As it says. Each fake does the same when it is dropped.
    pub fn verify(&self) {
        self.terminal.verify();
        self.commands.verify();
        self.redirects.verify();
    }

    /// Says which steps of the scripts were not taken.
    pub(crate) fn unused(&self) -> Option<String> {
        let unused = [self.terminal.unused(), self.commands.unused(), self.redirects.unused()];
        let unused: Vec<_> = unused.into_iter().flatten().collect();
        (!unused.is_empty()).then(|| unused.join("; "))
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}
