//! The API key for commands that Claude Code runs, when Claude Code itself runs on a subscription.

use moat_provider_core::{ContainerPath, EnvVar, Result, RunContext};

use crate::container::{API_KEY_VARIABLE, is_key_scoped};
use crate::token::Kind;

/// The name of the script, in Claude Code's directory.
pub(super) const SCRIPT: &str = "moat-api-key.sh";

/// Returns the script that Claude Code sources before each command of its shell.
pub(super) fn script(run: &RunContext) -> Result<Option<String>> {
    let Some(key) = Kind::ApiKey.grant_of(run).filter(|_| is_key_scoped(run)) else {
        return Ok(None);
    };
    let placeholder = Kind::ApiKey.placeholder(key.key(), run)?;
    Ok(Some(format!(
        "# A placeholder of this run, for commands. Claude Code itself does not see it: it would\n\
         # leave the subscription for it.\n\
         export {API_KEY_VARIABLE}={placeholder}\n\
         claude() {{\n    ( unset {API_KEY_VARIABLE}; command claude \"$@\" )\n}}\n"
    )))
}

/// Returns the variables that make Claude Code source it, in a shell that understands it.
pub(super) fn variables(script: &ContainerPath) -> Result<[EnvVar; 2]> {
    Ok([
        EnvVar::new("CLAUDE_ENV_FILE", script.as_str())?,
        EnvVar::new("CLAUDE_CODE_SHELL", "/bin/bash")?,
    ])
}
