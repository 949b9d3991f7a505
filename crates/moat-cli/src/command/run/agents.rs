//! Agents, with the flags that a workspace's file has for them.

use std::sync::Arc;

use clap::Command;
use moat_provider_core::Provider;

use crate::app::App;
use crate::config::FILE;
use crate::error::{CliError, Result};

/// Whether a word is the name of an agent or an alias of one.
pub(super) fn is_agent(app: &App<'_>, word: &str) -> bool {
    app.registry.get_agent(word).is_some()
}

/// Returns an agent with these flags.
///
/// # Errors
///
/// When there is no such agent, or it does not take the flags.
pub(super) fn configured(app: &App<'_>, name: &str, flags: &[String]) -> Result<Arc<dyn Provider>> {
    let provider = app.registry.require(name)?;
    let Some(agent) = provider.as_agent() else {
        let agents: Vec<_> = app.registry.agents().map(|agent| agent.name().to_string()).collect();
        let error = CliError::usage(format!("{name} is no agent"));
        return Err(match agents.is_empty() {
            true => error.with_hint("moat run -- COMMAND"),
            false => error.with_hint(format!("the agents are: {}", agents.join(", "))),
        });
    };
    let command = agent.register_cli(Command::new(name.to_owned()).no_binary_name(true));
    let matches = command.try_get_matches_from(flags).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        CliError::usage(format!("{FILE}: agents.{name}: {}", crate::output::line(first)))
            .with_hint(format!("moat {name} --help"))
    })?;
    Ok(agent.from_matches(&matches)?.unwrap_or_else(|| Arc::clone(provider)))
}
