//! Flags of the agent's command.

use clap::{Arg, ArgMatches, Command};
use moat_provider_core::Result;

use crate::{Backend, Pi};

const BACKEND: &str = "pi-backend";
const MODEL: &str = "pi-model";

pub(crate) fn register(command: Command) -> Command {
    command.next_help_heading("Pi").args([
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
pub(crate) fn configure(mut agent: Pi, matches: &ArgMatches) -> Result<Pi> {
    if let Some(backend) = matches.get_one::<String>(BACKEND) {
        agent = agent.backend(Backend::named(backend)?);
    }
    if let Some(model) = matches.get_one::<String>(MODEL) {
        agent = agent.model(model.clone());
    }
    Ok(agent)
}
