//! Flags of the agent's command.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::{Gemini, HostSettings};

const MODEL: &str = "gemini-model";
const PROJECT: &str = "gemini-project";
const NO_HOST_SETTINGS: &str = "gemini-no-host-settings";

pub(crate) fn register(command: Command) -> Command {
    command.next_help_heading("Gemini CLI").args([
        Arg::new(MODEL).long("model").value_name("MODEL").help("Model, by its full name"),
        Arg::new(PROJECT)
            .long("project")
            .value_name("ID")
            .help("Google Cloud project, which accounts of organizations need for a login"),
        Arg::new(NO_HOST_SETTINGS)
            .long("no-host-settings")
            .action(ArgAction::SetTrue)
            .help("Take nothing over from your own Gemini CLI: no theme, no instructions"),
    ])
}

/// Sets what the flags say.
pub(crate) fn configure(mut gemini: Gemini, matches: &ArgMatches) -> Gemini {
    let text = |id| matches.get_one::<String>(id).cloned();
    if let Some(model) = text(MODEL) {
        gemini = gemini.model(model);
    }
    if let Some(project) = text(PROJECT) {
        gemini = gemini.project(project);
    }
    if matches.get_flag(NO_HOST_SETTINGS) {
        gemini = gemini.host_settings(HostSettings::Ignore);
    }
    gemini
}
