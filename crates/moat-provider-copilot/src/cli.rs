//! Flags of the agent's command.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::{Copilot, HostSettings, Workspace};

const MODEL: &str = "copilot-model";
const CONTEXT: &str = "copilot-context";
const EFFORT: &str = "copilot-reasoning-effort";
const LOAD_WORKSPACE: &str = "copilot-load-workspace";
const NO_HOST_SETTINGS: &str = "copilot-no-host-settings";

pub(crate) fn register(command: Command) -> Command {
    command.next_help_heading("Copilot CLI").args([
        Arg::new(MODEL).long("model").value_name("MODEL").help("Model, or auto"),
        Arg::new(CONTEXT)
            .long("context")
            .value_name("TIER")
            .value_parser(["default", "long_context"])
            .help("Tier of the context window"),
        Arg::new(EFFORT)
            .long("reasoning-effort")
            .value_name("LEVEL")
            .value_parser(["none", "minimal", "low", "medium", "high", "xhigh", "max"])
            .help("Effort of reasoning"),
        switch(LOAD_WORKSPACE, "load-workspace")
            .help("Load the workspace's own MCP servers, hooks and plugins"),
        switch(NO_HOST_SETTINGS, "no-host-settings")
            .help("Take nothing over from your own Copilot CLI: no theme, no instructions"),
    ])
}

fn switch(id: &'static str, long: &'static str) -> Arg {
    Arg::new(id).long(long).action(ArgAction::SetTrue)
}

/// Sets what the flags say.
pub(crate) fn configure(mut copilot: Copilot, matches: &ArgMatches) -> Copilot {
    let text = |id| matches.get_one::<String>(id).cloned();
    if let Some(model) = text(MODEL) {
        copilot = copilot.model(model);
    }
    if let Some(tier) = text(CONTEXT) {
        copilot = copilot.context(tier);
    }
    if let Some(effort) = text(EFFORT) {
        copilot = copilot.reasoning_effort(effort);
    }
    if matches.get_flag(LOAD_WORKSPACE) {
        copilot = copilot.workspace(Workspace::Load);
    }
    if matches.get_flag(NO_HOST_SETTINGS) {
        copilot = copilot.host_settings(HostSettings::Ignore);
    }
    copilot
}
