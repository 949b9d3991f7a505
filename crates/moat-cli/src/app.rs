//! One invocation: what was typed, what there is, and where the output goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{
    CredentialKey, Error, ErrorKind, GrantRef, HostContext, Registry, Secret,
};
use moat_store::CredentialStore;
use time::OffsetDateTime;

use crate::args::Globals;
use crate::error::{CliError, Result};
use crate::output::{Output, Waiting};
use crate::system::System;

/// One invocation.
pub(crate) struct App<'a> {
    pub(crate) registry: Registry,
    pub(crate) globals: Globals,
    pub(crate) output: Output,
    pub(crate) system: &'a dyn System,
}

impl App<'_> {
    pub(crate) fn store(&self) -> Result<Arc<dyn CredentialStore>> {
        self.system.store(&self.globals)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.system.clock().now()
    }

    /// Makes the ports of a host.
    pub(crate) fn host(&self) -> Result<HostContext> {
        let mut http = self.system.http(&self.globals)?;
        if self.output.shows_progress() {
            http = Arc::new(Waiting::new(http));
        }
        Ok(HostContext::builder(self.system.clock(), self.system.entropy())
            .http(http)
            .commands(self.system.commands())
            .files(self.system.files())
            .build())
    }

    /// Returns the key of a grant that can be made or used.
    pub(crate) fn key(&self, grant: &GrantRef) -> Result<CredentialKey> {
        Ok(self.registry.resolve(grant)?)
    }

    /// Returns the key of what may be stored: also for a provider that is gone.
    pub(crate) fn stored_key(&self, grant: &GrantRef) -> Result<CredentialKey> {
        match self.registry.resolve(grant) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == ErrorKind::ProviderNotFound => {
                Ok(grant.to_string().parse()?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the directory to work in: what was typed, or the current one; absolute, and without
    /// links, so that it has one name.
    pub(crate) fn workspace(&self, typed: Option<&Path>) -> Result<PathBuf> {
        let path = typed.unwrap_or(Path::new("."));
        path.canonicalize().map_err(|error| {
            CliError::usage(format!("{} is no directory to work in", path.display()))
                .with_source(&error)
                .with_hint("pass one that is there: --workspace DIR")
        })
    }
}

/// Reads a variable that holds no secret.
///
/// # Errors
///
/// Those of the port.
pub(crate) fn plain_variable(
    environment: &dyn moat_provider_core::Environment,
    name: &str,
) -> Result<Option<String>, Error> {
    #[expect(clippy::disallowed_methods, reason = "the variable is no secret")]
    let text = |value: Secret| value.expose().to_owned();
    Ok(environment.var(name)?.map(text).filter(|value| !value.is_empty()))
}
