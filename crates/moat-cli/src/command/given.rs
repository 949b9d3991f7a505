//! A token that the person gives beforehand, in the place of what a provider would find or ask for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use moat_provider_core::{
    Answer, BoxFuture, CommandOutput, CommandRunner, CommandSpec, Environment, Error, ErrorKind,
    GrantContext, HostContext, Result, Secret, Terminal,
};

use crate::app::App;
use crate::error::Result as CliResult;

/// Who else answers a provider's questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// The person.
    Person,
    /// Nobody, and nothing is shown.
    Nobody,
}

/// A context in which a provider comes to ask for a secret, and gets this one.
///
/// No variable is set and no program is installed: a provider that looks there first, as vendors'
/// tools do, would find another token and prefer it.
#[derive(Debug)]
pub(super) struct Given {
    terminal: Arc<GivenTerminal>,
    context: GrantContext,
}

impl Given {
    /// Makes the context.
    ///
    /// # Errors
    ///
    /// Those of the ports.
    pub(super) fn new(app: &App<'_>, token: Secret, others: Others) -> CliResult<Self> {
        let host = app.host()?;
        let terminal = Arc::new(GivenTerminal {
            token: Mutex::new(Some(token)),
            person: (others == Others::Person).then(|| app.system.terminal()),
        });
        let closed = HostContext::builder(host.clock().clone(), host.entropy().clone())
            .http(host.http().clone())
            .commands(Arc::new(Nothing))
            .files(host.files().clone())
            .build();
        let mut context = GrantContext::builder(closed)
            .environment(Arc::new(Nothing))
            .terminal(Arc::clone(&terminal) as _);
        if others == Others::Person {
            context = context.redirects(app.system.redirects());
        }
        Ok(Self { context: context.build(), terminal })
    }

    /// Returns the context.
    pub(super) fn context(&self) -> &GrantContext {
        &self.context
    }

    /// Whether the provider has asked for a secret.
    pub(super) fn was_taken(&self) -> bool {
        self.terminal.token.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// An environment without variables on a machine without programs.
#[derive(Debug)]
struct Nothing;

impl Environment for Nothing {
    fn var(&self, _: &str) -> Result<Option<Secret>> {
        Ok(None)
    }
}

impl CommandRunner for Nothing {
    fn run<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<CommandOutput>> {
        let program = command.program();
        let message = format!("{program} is not asked, because the token was given");
        Box::pin(async { Err(Error::new(ErrorKind::CommandNotFound, message)) })
    }
}

/// A terminal at which the first secret is there already.
struct GivenTerminal {
    token: Mutex<Option<Secret>>,
    person: Option<Arc<dyn Terminal>>,
}

impl fmt::Debug for GivenTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenTerminal").finish_non_exhaustive()
    }
}

impl GivenTerminal {
    fn take(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn person(&self) -> Result<&Arc<dyn Terminal>> {
        self.person
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::NotInteractive, "nobody is asked here"))
    }
}

impl Terminal for GivenTerminal {
    fn tell<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match &self.person {
                Some(person) => person.tell(text).await,
                None => Ok(()),
            }
        })
    }

    fn ask<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move { self.person()?.ask(label).await })
    }

    fn ask_secret<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            match self.take() {
                Some(token) => Ok(token),
                None => self.person()?.ask_secret(label).await,
            }
        })
    }

    fn confirm<'a>(&'a self, question: &'a str, default: Answer) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move { self.person()?.confirm(question, default).await })
    }

    fn choose<'a>(
        &'a self,
        question: &'a str,
        choices: &'a [&'a str],
    ) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move { self.person()?.choose(question, choices).await })
    }

    fn run_attached<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<Option<i32>>> {
        Box::pin(async move { self.person()?.run_attached(command).await })
    }

    fn open_url<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.person()?.open_url(url).await })
    }
}
