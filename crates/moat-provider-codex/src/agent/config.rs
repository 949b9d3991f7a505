//! `config.toml`: what Codex is told, so that it asks and fetches nothing that it does not need.

use moat_agent::mcp::{self, McpServer};
use moat_provider_core::{Error, PrepareOpts, Result};
use serde_json::{Map, Value, json};

use super::host::{Host, preferences};

/// The name of the file, in Codex's directory.
pub(super) const FILE: &str = "config.toml";

pub(super) fn render(opts: &PrepareOpts, host: &Host) -> Result<String> {
    let mut config = match opts.host_config.is_empty() {
        true => host.config.clone(),
        false => preferences(Some(&opts.host_config)),
    };
    let workspace = opts.run.workspace().as_str();
    let fixed = json!({
        // What holds where no flag says that the agent may do everything.
        "approval_policy": "on-request",
        "sandbox_mode": "workspace-write",
        // Codex's own sandbox would keep commands from the proxy, which is the border of the
        // network.
        "sandbox_workspace_write": { "network_access": true },
        // The login is the file, wherever else Codex could look.
        "cli_auth_credentials_store": "file",
        // The program in the container is the one that was put there.
        "check_for_update_on_startup": false,
        "analytics": { "enabled": false },
        // Connectors and plugins have logins of their own, and are fetched at each start.
        // A daemon dies with the run, and yet Codex would promise that its work goes on (0.169.0).
        "features": { "apps": false, "plugins": false, "daemon_auto_start": false },
        // Without this, commands get neither the proxy's address nor its certificate.
        "shell_environment_policy": { "inherit": "all", "ignore_default_excludes": true },
        "projects": { workspace: { "trust_level": "trusted" } },
    });
    config.extend(fixed.as_object().cloned().unwrap_or_default());
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?;
    if !servers.is_empty() {
        let servers: Map<_, _> = servers
            .into_iter()
            .map(|(name, config)| (name.to_owned(), server(&config, opts)))
            .collect();
        config.insert("mcp_servers".to_owned(), servers.into());
    }
    toml::to_string(&config).map_err(|error| {
        Error::invalid("the settings of Codex cannot be written").with_source(error)
    })
}

/// Codex starts a server with few variables of its own environment, and those that are named: without
/// them it has neither the proxy's address nor a placeholder (0.169.0).
fn server(server: &McpServer<'_>, opts: &PrepareOpts) -> Value {
    let mut members = server.members("url");
    if let Some(headers) = members.remove("headers") {
        members.insert("http_headers".to_owned(), headers);
    }
    if matches!(server, McpServer::Local { .. }) && !opts.variables.is_empty() {
        members.insert("env_vars".to_owned(), json!(opts.variables));
    }
    members.into()
}
