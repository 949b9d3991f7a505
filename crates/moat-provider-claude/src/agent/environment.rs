//! Variables of Claude Code.

use moat_agent::SessionStore;
use moat_provider_core::{EnvVar, Result};

use super::{NonessentialTraffic, Options};

/// What holds in every sandbox (Claude Code 2.1.197).
const ALWAYS: &[(&str, &str)] = &[
    // Root may let it act without asking only where it knows that it is in a sandbox.
    ("IS_SANDBOX", "1"),
    // A repository's settings may set variables: none of those that say where the API is and with
    // which credential it is asked. A refused credential is then also reported at once.
    ("CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", "1"),
    // A login from inside would be a real one, in the container.
    ("DISABLE_LOGIN_COMMAND", "1"),
    ("DISABLE_LOGOUT_COMMAND", "1"),
    // The program in the container is the one that was put there.
    ("DISABLE_AUTOUPDATER", "1"),
    // The account's connectors hold logins of their own.
    ("ENABLE_CLAUDEAI_MCP_SERVERS", "false"),
];

/// What keeps it from asking for more than it needs.
const QUIET: &[(&str, &str)] = &[
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"),
];

pub(super) fn variables(options: &Options) -> Result<Vec<EnvVar>> {
    let quiet = match options.traffic {
        NonessentialTraffic::Off => QUIET,
        NonessentialTraffic::On => &[],
    };
    // What an agent learns in a sandbox is not to be read outside of it.
    let memory: &[_] = match options.sessions {
        SessionStore::Private => &[],
        _ => &[("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1")],
    };
    let all = ALWAYS.iter().chain(quiet).chain(memory);
    all.map(|(name, value)| EnvVar::new(*name, *value)).collect()
}
