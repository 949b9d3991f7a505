//! Flags of the agent's command.

use clap::{Arg, ArgAction, ArgMatches, Command};
use moat_agent::SessionStore;
use moat_provider_core::Result;

use crate::{Codex, HostSettings, Transport};

const MODEL: &str = "codex-model";
const EFFORT: &str = "codex-effort";
const SHARE_SESSIONS: &str = "codex-share-sessions";
const NO_HOST_SETTINGS: &str = "codex-no-host-settings";
const NO_WEBSOCKET: &str = "codex-no-websocket";

pub(crate) fn register(command: Command) -> Command {
    command.next_help_heading("Codex").args([
        Arg::new(MODEL).long("model").value_name("MODEL").help("Model, by its full name"),
        Arg::new(EFFORT)
            .long("effort")
            .value_name("EFFORT")
            .help("How long the model thinks: low, medium, high, or what else it knows"),
        Arg::new(SHARE_SESSIONS).long("share-sessions").value_name("DIR").help(
            "Keep conversations in this directory of the host, as in ~/.codex/sessions: the agent \
             can read and change all of them, of every project",
        ),
        switch(NO_HOST_SETTINGS, "no-host-settings")
            .help("Take nothing over from your own Codex: no preferences, no instructions"),
        switch(NO_WEBSOCKET, "no-websocket").help("Let it talk to the model by HTTP alone"),
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
pub(crate) fn configure(mut codex: Codex, matches: &ArgMatches) -> Result<Codex> {
    let text = |id| matches.get_one::<String>(id).cloned();
    if let Some(model) = text(MODEL) {
        codex = codex.model(model);
    }
    if let Some(effort) = text(EFFORT) {
        codex = codex.effort(effort);
    }
    if let Some(directory) = text(SHARE_SESSIONS) {
        let store = SessionStore::Shared(directory.into());
        // Said here, the mistake is the flag's; the target does not matter.
        store.mount(&crate::token::CODEX, "/sessions".parse()?)?;
        codex = codex.sessions(store);
    }
    if matches.get_flag(NO_HOST_SETTINGS) {
        codex = codex.host_settings(HostSettings::Ignore);
    }
    if matches.get_flag(NO_WEBSOCKET) {
        codex = codex.transport(Transport::Http);
    }
    Ok(codex)
}
