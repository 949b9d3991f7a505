//! Flags of the agent's command.

use clap::{Arg, ArgAction, ArgMatches, Command};
use moat_agent::SessionStore;
use moat_provider_core::Result;

use crate::{Claude, HostSettings, Identity, NonessentialTraffic};

const MODEL: &str = "claude-model";
const PLAN: &str = "claude-plan";
const SHARE_SESSIONS: &str = "claude-share-sessions";
const PLUGIN_SEED: &str = "claude-plugin-seed";
const NO_HOST_SETTINGS: &str = "claude-no-host-settings";
const SHARE_IDENTITY: &str = "claude-share-identity";
const NONESSENTIAL_TRAFFIC: &str = "claude-nonessential-traffic";

const ABOUT: &str = "Runs Claude Code in a sandbox, on your subscription or an API key";
const NOTES: &str = "\
Without --grant it runs on the grant claude, else on anthropic. With both it runs on claude, and
commands that it starts have the key; --default anthropic has it run on the key.

It acts without asking, because the sandbox is the border; --ask has it ask. Its conversations are
kept for the workspace: moat resume goes on with one.";

pub(crate) fn register(command: Command) -> Command {
    let command = command.about(ABOUT).after_help(NOTES);
    command.next_help_heading("Claude Code").args([
        Arg::new(MODEL)
            .long("model")
            .value_name("MODEL")
            .help("Model: an alias such as opus, or a full name"),
        Arg::new(PLAN)
            .long("plan")
            .value_name("PLAN")
            .value_parser(["max", "pro", "team", "enterprise"])
            .help("Plan of the subscription, if it is not that of the grant"),
        Arg::new(SHARE_SESSIONS).long("share-sessions").value_name("DIR").help(
            "Keep conversations in this directory of the host, as in \
                 ~/.claude/projects/-home-me-project: the agent can read and change all of them",
        ),
        Arg::new(PLUGIN_SEED)
            .long("plugin-seed")
            .value_name("DIR")
            .help("Directory of the host with plugins, as ~/.claude/plugins is; the agent may read it"),
        switch(NO_HOST_SETTINGS, "no-host-settings")
            .help("Take nothing over from your own Claude Code: no plugins, no instructions"),
        switch(SHARE_IDENTITY, "share-identity")
            .help("Tell the agent your mail address and organization"),
        switch(NONESSENTIAL_TRAFFIC, "nonessential-traffic")
            .help("Let it send telemetry and fetch what it does not need to work, such as what /usage shows"),
    ])
}

fn switch(id: &'static str, long: &'static str) -> Arg {
    Arg::new(id).long(long).action(ArgAction::SetTrue)
}

/// Sets what the flags say.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) for a directory that is
/// too wide to be shared.
pub(crate) fn configure(mut claude: Claude, matches: &ArgMatches) -> Result<Claude> {
    let text = |id| matches.get_one::<String>(id).cloned();
    if let Some(model) = text(MODEL) {
        claude = claude.model(model);
    }
    if let Some(plan) = text(PLAN) {
        claude = claude.plan(plan);
    }
    if let Some(directory) = text(SHARE_SESSIONS) {
        let store = SessionStore::Shared(directory.into());
        // Said here, the mistake is the flag's; the target does not matter.
        store.mount(&crate::token::CLAUDE, "/projects".parse()?)?;
        claude = claude.sessions(store);
    }
    if let Some(directory) = text(PLUGIN_SEED) {
        claude = claude.plugin_seed(directory);
    }
    if matches.get_flag(NO_HOST_SETTINGS) {
        claude = claude.host_settings(HostSettings::Ignore);
    }
    if matches.get_flag(SHARE_IDENTITY) {
        claude = claude.identity(Identity::Shared);
    }
    if matches.get_flag(NONESSENTIAL_TRAFFIC) {
        claude = claude.nonessential_traffic(NonessentialTraffic::On);
    }
    Ok(claude)
}
