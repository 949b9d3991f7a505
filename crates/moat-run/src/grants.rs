//! Which credentials a run uses, and what is wrong with those that it cannot.

use std::collections::BTreeSet;
use std::fmt;

use moat_provider_core::{CredentialKey, Error, ErrorKind, GrantRef, Registry, Result};

/// A grant that a run asks for and cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantProblem {
    grant: String,
    key: Option<CredentialKey>,
    why: String,
    command: Option<String>,
}

impl GrantProblem {
    /// Describes what is wrong with a grant that has a key.
    #[must_use]
    pub fn new(key: &CredentialKey, why: impl Into<String>, command: Option<String>) -> Self {
        Self { grant: key.to_string(), key: Some(key.clone()), why: why.into(), command }
    }

    /// Describes a failure of one grant.
    #[must_use]
    pub fn of_error(key: &CredentialKey, error: &Error) -> Self {
        let command = match error.kind() {
            ErrorKind::CredentialNotFound => Some(format!("moat grant {key}")),
            _ => error.hint().map(str::to_owned),
        };
        Self::new(key, error.message(), command)
    }

    /// Returns the key; `None` when what the person named is no grant at all.
    #[must_use]
    pub fn key(&self) -> Option<&CredentialKey> {
        self.key.as_ref()
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Returns the command that mends it.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }
}

impl fmt::Display for GrantProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.grant, self.why)
    }
}

/// Returns the keys of what a person named, each once, in their order; and what is no grant.
pub(crate) fn resolve(
    registry: &Registry,
    named: &[GrantRef],
) -> (Vec<CredentialKey>, Vec<GrantProblem>) {
    let (mut keys, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for grant in named {
        match registry.resolve(grant) {
            Ok(key) => {
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
            Err(error) => problems.push(GrantProblem {
                grant: grant.to_string(),
                key: None,
                why: error.message().to_owned(),
                command: error.hint().map(str::to_owned),
            }),
        }
    }
    (keys, problems)
}

/// Returns the keys of grants that a person made the default (law L3).
pub(crate) fn defaults(registry: &Registry, named: &[GrantRef]) -> Result<Vec<CredentialKey>> {
    named.iter().map(|grant| registry.resolve(grant)).collect()
}
