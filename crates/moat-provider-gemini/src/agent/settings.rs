//! `settings.json`: the person's preferences, what holds in a sandbox, and the run's MCP servers.
//!
//! It is the person's file and not the machine's, which would prevail over a repository's own
//! settings: that one Gemini CLI takes only where root owns it and every directory above (0.61.0).

use moat_agent::ValueKind::{Boolean, Text};
use moat_agent::{ValueKind, mcp, pick};
use moat_provider_core::{PrepareOpts, Result, RunContext};
use serde_json::{Map, Value, json};

use super::BACKENDS;
use super::host::Host;
use crate::kind::Kind;

/// The name of the file, in Gemini CLI's directory.
pub(super) const FILE: &str = "settings.json";

/// What is taken over of the person's own settings, section by section. Programs, servers, hooks
/// and places stay outside.
const ALLOWED: &[(&str, &[(&str, ValueKind)])] = &[
    ("general", &[("vimMode", Boolean), ("checkpointing", Boolean)]),
    ("model", &[("name", Text)]),
    (
        "ui",
        &[
            ("theme", Text),
            ("hideBanner", Boolean),
            ("hideTips", Boolean),
            ("hideFooter", Boolean),
            ("showLineNumbers", Boolean),
            ("showMemoryUsage", Boolean),
        ],
    ),
];

/// Returns the settings.
pub(super) fn render(opts: &PrepareOpts, host: &Host) -> Result<Map<String, Value>> {
    let own = match opts.host_config.is_empty() {
        true => &host.settings,
        false => &opts.host_config,
    };
    let mut settings = fixed(&opts.run);
    for (section, allowed) in ALLOWED {
        let taken = own.get(*section).and_then(Value::as_object).map(|from| pick(from, allowed));
        let Some(taken) = taken.filter(|taken| !taken.is_empty()) else { continue };
        match settings.get_mut(*section).and_then(Value::as_object_mut) {
            Some(section) => section.extend(taken),
            None => {
                settings.insert((*section).to_owned(), taken.into());
            }
        }
    }
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?;
    let servers: Map<_, _> = servers
        .into_iter()
        // The member for streamable HTTP; `url` means server-sent events.
        .map(|(name, server)| (name.to_owned(), server.members("httpUrl").into()))
        .collect();
    if !servers.is_empty() {
        settings.insert("mcpServers".to_owned(), servers.into());
    }
    Ok(settings)
}

/// Returns what holds in every sandbox: with which kind of credential Google is asked, that no
/// telemetry is sent, and that the program is the one that was put there.
fn fixed(run: &RunContext) -> Map<String, Value> {
    let mut settings = Map::new();
    let mut section = |name: &str, value| settings.insert(name.to_owned(), value);
    section("general", json!({ "enableAutoUpdate": false, "enableAutoUpdateNotification": false }));
    section("privacy", json!({ "usageStatisticsEnabled": false }));
    section("telemetry", json!({ "enabled": false }));
    if let Some(info) = BACKENDS.of_run(run) {
        let selected = match Kind::of(info) {
            Kind::ApiKey => "gemini-api-key",
            Kind::OAuth => "oauth-personal",
        };
        section("security", json!({ "auth": { "selectedType": selected } }));
    }
    settings
}
