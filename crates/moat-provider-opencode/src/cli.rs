//! Flags of the agent's command.

use clap::{Arg, ArgMatches, Command};
use moat_provider_core::Result;

use crate::{Backend, OpenCode};

const BACKEND: &str = "opencode-backend";
const MODEL: &str = "opencode-model";

pub(crate) fn register(command: Command) -> Command {
    command.next_help_heading("OpenCode").args([
        Arg::new(BACKEND)
            .long("backend")
            .value_name("GRANT")
            .value_parser(["anthropic", "openai", "gemini"])
            .help("Grant to run on, where several would do"),
        Arg::new(MODEL).long("model").value_name("MODEL").help("Model, by its vendor's name"),
    ])
}

/// Sets what the flags say.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) for an unknown backend.
pub(crate) fn configure(mut agent: OpenCode, matches: &ArgMatches) -> Result<OpenCode> {
    if let Some(backend) = matches.get_one::<String>(BACKEND) {
        agent = agent.backend(Backend::named(backend)?);
    }
    if let Some(model) = matches.get_one::<String>(MODEL) {
        agent = agent.model(model.clone());
    }
    Ok(agent)
}
