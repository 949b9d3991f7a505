//! What programs find in the container.

use std::collections::BTreeMap;

use moat_provider_core::{
    CredentialInfo, CredentialKey, EnvVar, Error, ErrorKind, Result, RunContext,
};

use crate::rules::variable_value;
use crate::service::Service;

/// Returns the variables that hold placeholders.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] when two services want one variable, and those of
/// [`Service::recorded`].
pub(crate) fn env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    let mut owners: BTreeMap<String, &CredentialKey> = BTreeMap::new();
    let mut env = Vec::new();
    for info in credentials {
        let service = Service::recorded(info)?;
        for name in service.variables() {
            if let Some(owner) = owners.insert(name.clone(), info.key()) {
                return Err(conflict(owner, info.key(), name));
            }
            env.push(EnvVar::new(name, variable_value(info, &service, run)?)?);
        }
    }
    Ok(env)
}

fn conflict(first: &CredentialKey, second: &CredentialKey, name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{first} and {second} both put their placeholder into {name}"),
    )
    .with_hint(format!(
        "start the run without one of them, or grant {second} again with another --env"
    ))
}
