//! `.claude.json`: what Claude Code remembers, so that it does not ask again.

use moat_agent::ValueKind::{Boolean, Integer, Text};
use moat_agent::mcp::{self, McpServer};
use moat_agent::{ValueKind, pick};
use moat_provider_core::{EnvVar, PrepareOpts, Result};
use serde_json::{Map, Value, json};

use super::host::Host;
use super::{Identity, Options};
use crate::container::is_key_scoped;
use crate::token::{Kind, approval_of};

/// The name of the file, in the home directory.
pub(super) const FILE: &str = ".claude.json";

/// What is taken over of the person's own: how far they have come with the program. Neither ids
/// that tell one installation from another, nor what the vendor's servers said about the account.
const ALLOWED: &[(&str, ValueKind)] = &[
    ("theme", Text),
    ("editorMode", Text),
    ("firstStartTime", Text),
    ("lastOnboardingVersion", Text),
    ("lastReleaseNotesSeen", Text),
    ("numStartups", Integer),
    ("migrationVersion", Integer),
    ("opus45MigrationComplete", Boolean),
    ("opusProMigrationComplete", Boolean),
    ("sonnet1m45MigrationComplete", Boolean),
    ("sonnet45MigrationComplete", Boolean),
    ("thinkingMigrationComplete", Boolean),
];

/// What says whose account it is, in the member of that name.
const ACCOUNT: &str = "oauthAccount";
const ALLOWED_OF_ACCOUNT: &[(&str, ValueKind)] = &[
    ("accountUuid", Text),
    ("emailAddress", Text),
    ("displayName", Text),
    ("organizationUuid", Text),
    ("organizationName", Text),
    ("organizationRole", Text),
    ("workspaceRole", Text),
];

pub(super) fn render(
    options: &Options,
    opts: &PrepareOpts,
    host: &Host,
) -> Result<Map<String, Value>> {
    let own = match opts.host_config.is_empty() {
        true => &host.config,
        false => &opts.host_config,
    };
    let mut config = pick(own, ALLOWED);
    if options.identity == Identity::Shared
        && let Some(account) = own.get(ACCOUNT).and_then(Value::as_object)
    {
        config.insert(ACCOUNT.to_owned(), pick(account, ALLOWED_OF_ACCOUNT).into());
    }
    config.entry("theme").or_insert_with(|| "dark".into());
    config.insert("hasCompletedOnboarding".to_owned(), true.into());
    let workspace = opts.run.workspace().as_str();
    config.insert("projects".to_owned(), json!({ workspace: { "hasTrustDialogAccepted": true } }));
    if let Some(approved) = approved_key(opts)? {
        let responses = json!({ "approved": [approved], "rejected": [] });
        config.insert("customApiKeyResponses".to_owned(), responses);
    }
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?;
    if !servers.is_empty() {
        let servers: Map<_, _> =
            servers.into_iter().map(|(name, config)| (name.to_owned(), server(&config))).collect();
        config.insert("mcpServers".to_owned(), servers.into());
    }
    Ok(config)
}

/// The person has said by the grant that Claude Code may use the key.
fn approved_key(opts: &PrepareOpts) -> Result<Option<String>> {
    let Some(key) = Kind::ApiKey.grant_of(&opts.run).filter(|_| !is_key_scoped(&opts.run)) else {
        return Ok(None);
    };
    let placeholder = Kind::ApiKey.placeholder(key.key(), &opts.run)?;
    Ok(Some(approval_of(&placeholder).to_owned()))
}

fn server(server: &McpServer<'_>) -> Value {
    match server {
        McpServer::Local { command, args, env } => {
            let mut server = json!({ "type": "stdio", "command": command });
            if !args.is_empty() {
                server["args"] = json!(args);
            }
            if !env.is_empty() {
                let pair = |var: &EnvVar| (var.name().to_owned(), var.value().into());
                server["env"] = env.iter().map(pair).collect::<Map<_, _>>().into();
            }
            server
        }
        McpServer::Remote { url, headers } => {
            let mut server = json!({ "type": "http", "url": url });
            if !headers.is_empty() {
                server["headers"] = json!(headers);
            }
            server
        }
    }
}
