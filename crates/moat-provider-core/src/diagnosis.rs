//! What a provider has to say when a host checks its machine.

use crate::{BoxFuture, CredentialInfo, GrantContext, Provider};

/// Looks at whether what its grants need is in order: the provider's section of `moat doctor`.
pub trait DiagnosableProvider: Provider {
    /// Looks at this machine and at the granted credentials, of which there may be none.
    ///
    /// Nothing is changed and no vendor is asked: a person may look as often as they like. What the
    /// host sees by itself (expiry, a record that cannot be read, the agent's program) is not
    /// repeated.
    fn diagnose<'a>(
        &'a self,
        cx: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>>;
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    subject: String,
    finding: Finding,
    detail: String,
    fix: Option<String>,
}

/// How bad a diagnosis is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// All is well.
    Good,
    /// A run goes well nevertheless, or not for long.
    Warning,
    /// A run fails.
    Bad,
}

impl Diagnosis {
    /// States that something is in order. The subject is a word or two, the detail one line.
    #[must_use]
    pub fn good(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), finding: Finding::Good, detail: detail.into(), fix: None }
    }

    /// States that something should be better, and what to do.
    #[must_use]
    pub fn warning(
        subject: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { finding: Finding::Warning, fix: Some(fix.into()), ..Self::good(subject, detail) }
    }

    /// States that something fails, and what to do.
    #[must_use]
    pub fn bad(
        subject: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { finding: Finding::Bad, ..Self::warning(subject, detail, fix) }
    }

    /// Returns what was looked at.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns how bad it is.
    #[must_use]
    pub fn finding(&self) -> Finding {
        self.finding
    }

    /// Returns what was found.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns what to do about it; always there for what is not [`Finding::Good`].
    #[must_use]
    pub fn fix(&self) -> Option<&str> {
        self.fix.as_deref()
    }
}

/// The program of an agent, which is started in the container and comes from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientProgram {
    name: &'static str,
    proven: &'static str,
    install: &'static str,
}

impl ClientProgram {
    /// Describes a program: the name that is looked up in `PATH`, the version that the provider is
    /// proven with, such as `2.1.197`, and where a person learns how to install it. The program
    /// prints its version when it is asked with `--version`.
    #[must_use]
    pub const fn new(name: &'static str, proven: &'static str, install: &'static str) -> Self {
        Self { name, proven, install }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the version that the provider is proven with.
    #[must_use]
    pub fn proven_version(&self) -> &'static str {
        self.proven
    }

    /// Returns where a person learns how to install it.
    #[must_use]
    pub fn install(&self) -> &'static str {
        self.install
    }
}
