//! The two sets of ports that a provider is handed.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use super::{
    Answer, Clock, CommandOutput, CommandRunner, CommandSpec, Entropy, Environment, FileSystem,
    HostFile, HttpClient, PendingRedirect, RedirectListener, Terminal,
};
use crate::{BoxFuture, Error, ErrorKind, Result, Secret};

/// The ports of a host: what refresh, mint and agents may use.
///
/// Clock and entropy are always there. A port that was not given refuses each call with
/// [`ErrorKind::PortMissing`] and its name.
#[derive(Clone, Debug)]
pub struct HostContext {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    http: Arc<dyn HttpClient>,
    commands: Arc<dyn CommandRunner>,
    files: Arc<dyn FileSystem>,
}

impl HostContext {
    /// Begins a context with the two mandatory ports.
    #[must_use]
    pub fn builder(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> HostContextBuilder {
        HostContextBuilder(Self {
            clock,
            entropy,
            http: Arc::new(Missing("HTTP client")),
            commands: Arc::new(Missing("command runner")),
            files: Arc::new(Missing("file system")),
        })
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Returns the source of random bytes.
    #[must_use]
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Returns the client for vendors.
    #[must_use]
    pub fn http(&self) -> &Arc<dyn HttpClient> {
        &self.http
    }

    /// Returns the starter of programs.
    #[must_use]
    pub fn commands(&self) -> &Arc<dyn CommandRunner> {
        &self.commands
    }

    /// Returns the reader of host files.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }
}

/// Collects the ports of a [`HostContext`].
#[derive(Debug)]
pub struct HostContextBuilder(HostContext);

impl HostContextBuilder {
    /// Supplies the client for vendors.
    #[must_use]
    pub fn http(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.0.http = http;
        self
    }

    /// Supplies the starter of programs.
    #[must_use]
    pub fn commands(mut self, commands: Arc<dyn CommandRunner>) -> Self {
        self.0.commands = commands;
        self
    }

    /// Supplies the reader of host files.
    #[must_use]
    pub fn files(mut self, files: Arc<dyn FileSystem>) -> Self {
        self.0.files = files;
        self
    }

    /// Finishes the context.
    #[must_use]
    pub fn build(self) -> HostContext {
        self.0
    }
}

/// The ports of a grant: those of the host, and the person with environment, terminal and browser.
#[derive(Clone, Debug)]
pub struct GrantContext {
    host: HostContext,
    environment: Arc<dyn Environment>,
    terminal: Arc<dyn Terminal>,
    redirects: Arc<dyn RedirectListener>,
}

impl GrantContext {
    /// Begins a context on top of a host's.
    #[must_use]
    pub fn builder(host: HostContext) -> GrantContextBuilder {
        GrantContextBuilder(Self {
            host,
            environment: Arc::new(Missing("environment")),
            terminal: Arc::new(Missing("terminal")),
            redirects: Arc::new(Missing("redirect listener")),
        })
    }

    /// Returns the ports of the host.
    #[must_use]
    pub fn host(&self) -> &HostContext {
        &self.host
    }

    /// Returns the person's environment.
    #[must_use]
    pub fn environment(&self) -> &Arc<dyn Environment> {
        &self.environment
    }

    /// Returns the first of several variables that is set to more than white space, with its name
    /// and without the white space around its value.
    ///
    /// # Errors
    ///
    /// Those of [`Environment::var`].
    pub fn first_var<'n>(&self, names: &[&'n str]) -> Result<Option<(&'n str, Secret)>> {
        for name in names {
            let value = self.environment.var(name)?.map(|value| value.trimmed());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// Returns the person's terminal.
    #[must_use]
    pub fn terminal(&self) -> &Arc<dyn Terminal> {
        &self.terminal
    }

    /// Returns the listener for OAuth redirects.
    #[must_use]
    pub fn redirects(&self) -> &Arc<dyn RedirectListener> {
        &self.redirects
    }
}

/// Collects the ports of a [`GrantContext`].
#[derive(Debug)]
pub struct GrantContextBuilder(GrantContext);

impl GrantContextBuilder {
    /// Supplies the person's environment.
    #[must_use]
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.0.environment = environment;
        self
    }

    /// Supplies the person's terminal.
    #[must_use]
    pub fn terminal(mut self, terminal: Arc<dyn Terminal>) -> Self {
        self.0.terminal = terminal;
        self
    }

    /// Supplies the listener for OAuth redirects.
    #[must_use]
    pub fn redirects(mut self, redirects: Arc<dyn RedirectListener>) -> Self {
        self.0.redirects = redirects;
        self
    }

    /// Finishes the context.
    #[must_use]
    pub fn build(self) -> GrantContext {
        self.0
    }
}

/// Stands in for a port that was not given.
#[derive(Debug)]
struct Missing(&'static str);

impl Missing {
    fn error(&self) -> Error {
        Error::new(ErrorKind::PortMissing, format!("this context has no {}", self.0))
            .with_hint(format!("supply a {} when you build the context", self.0))
    }

    fn refuse<T>(&self) -> BoxFuture<'_, Result<T>>
    where
        T: Send,
    {
        Box::pin(async { Err(self.error()) })
    }
}

impl HttpClient for Missing {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>> {
        self.refuse()
    }
}

impl CommandRunner for Missing {
    fn run<'a>(&'a self, _: &'a CommandSpec) -> BoxFuture<'a, Result<CommandOutput>> {
        self.refuse()
    }
}

impl FileSystem for Missing {
    fn read<'a>(&'a self, _: &'a HostFile) -> BoxFuture<'a, Result<Option<Secret>>> {
        self.refuse()
    }
}

impl Environment for Missing {
    fn var(&self, _: &str) -> Result<Option<Secret>> {
        Err(self.error())
    }
}

impl Terminal for Missing {
    fn tell<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        self.refuse()
    }

    fn ask<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<String>> {
        self.refuse()
    }

    fn ask_secret<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Secret>> {
        self.refuse()
    }

    fn confirm<'a>(&'a self, _: &'a str, _: Answer) -> BoxFuture<'a, Result<Answer>> {
        self.refuse()
    }

    fn choose<'a>(&'a self, _: &'a str, _: &'a [&'a str]) -> BoxFuture<'a, Result<usize>> {
        self.refuse()
    }

    fn run_attached<'a>(&'a self, _: &'a CommandSpec) -> BoxFuture<'a, Result<Option<i32>>> {
        self.refuse()
    }

    fn open_url<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        self.refuse()
    }
}

impl RedirectListener for Missing {
    fn listen<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Box<dyn PendingRedirect>>> {
        self.refuse()
    }
}
