//! An environment of a test's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use moat_provider_core::{Environment, Result, Secret};

use super::script::lock;

/// The environment of a person, without the process's.
///
/// A variable that was not set here is not set, and reading it is no failure; what was read is
/// remembered.
#[derive(Default)]
pub struct FakeEnvironment {
    variables: BTreeMap<String, Secret>,
    forbidden: bool,
    reads: Mutex<Vec<String>>,
}

impl FakeEnvironment {
    /// Begins an empty environment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an environment in which every read fails the test.
    #[must_use]
    pub fn forbidden() -> Self {
        Self { forbidden: true, ..Self::default() }
    }

    /// Sets a variable to a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: Secret) -> Self {
        self.variables.insert(name.to_owned(), value);
        self
    }

    /// Sets a variable to text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.secret(name, Secret::new(value.to_owned()))
    }

    /// Returns the names of the variables that were read, in order.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        lock(&self.reads).clone()
    }
}

impl Environment for FakeEnvironment {
    fn var(&self, name: &str) -> Result<Option<Secret>> {
        assert!(!self.forbidden, "the environment was asked for {name}, which this test forbids");
        lock(&self.reads).push(name.to_owned());
        Ok(self.variables.get(name).cloned())
    }
}

impl fmt::Debug for FakeEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEnvironment")
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}
