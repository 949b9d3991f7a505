//! Copilot CLI as an agent: what stands in the container, and how it is started.

mod command;
mod host;
mod settings;

use moat_agent::{Backends, SessionId, SessionStore, instructions, mcp};
use moat_provider_core::{
    ContainerConfig, ContainerPath, EnvVar, HostContext, PrepareOpts, ProviderName, Result,
    StagedFile,
};
use serde_json::{Map, Value, json};

pub(crate) use self::command::command;
use crate::account::{self, Instance};
use crate::rules;

/// The name of the provider.
pub(crate) static NAME: ProviderName = ProviderName::from_static("copilot");
/// The name of the provider whose grant it uses.
static GITHUB: ProviderName = ProviderName::from_static("github");

/// The entry under which a run keeps the id of its conversation, where it is known from the start: in
/// [`ContainerConfig::state`](moat_provider_core::ContainerConfig::state), and from there in the
/// run's `metadata.json`.
pub const SESSION_ID: &str = "copilot_session_id";

/// What the agent runs on.
pub(crate) static BACKENDS: Backends<'static> = Backends::new("Copilot CLI", &PROVIDERS);
static PROVIDERS: [&ProviderName; 1] = [&GITHUB];

/// The directory of Copilot CLI, below the home directory.
const DIRECTORY: &str = ".copilot";

/// Whether the person's own Copilot CLI has a say in the container's settings.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSettings {
    /// A few preferences and the instructions are taken over.
    #[default]
    Use,
    /// Nothing is.
    Ignore,
}

/// Whether the workspace's own MCP servers, hooks and plugins are loaded.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workspace {
    /// They are not: a repository would run programs of its own before anybody said a word. On a
    /// terminal Copilot CLI asks whether it may.
    #[default]
    Ignore,
    /// They are.
    Load,
}

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) effort: Option<String>,
    pub(crate) workspace: Workspace,
    pub(crate) sessions: SessionStore,
    pub(crate) host_settings: HostSettings,
}

/// Decides what goes into the container, after it has asked GitHub which host serves the account.
pub(crate) async fn prepare(
    cx: &HostContext,
    options: &Options,
    opts: &PrepareOpts,
) -> Result<ContainerConfig> {
    let run = &*opts.run;
    let mut prepared = ContainerConfig::default();
    if let Some(info) = BACKENDS.of_run(run) {
        let instance = Instance::of(info.key())?;
        let given = opts.credentials.iter().find(|credential| credential.key() == info.key());
        let hosts = match given {
            Some(credential) => account::hosts(cx, &instance, credential).await?,
            None => instance.known_hosts(),
        };
        prepared.rules = rules::of(info, run, &instance, &hosts)?;
        let placeholder = rules::placeholder(info, run)?;
        prepared.env.push(EnvVar::new("COPILOT_GITHUB_TOKEN", placeholder.as_str())?);
        let host = match &instance {
            Instance::DotCom => "github.com",
            Instance::Tenant(host) => host,
        };
        prepared.env.push(EnvVar::new("COPILOT_GH_HOST", host)?);
    }
    // The program in the container is the one that was put there.
    prepared.env.push(EnvVar::new("COPILOT_AUTO_UPDATE", "false")?);

    let host = host::read(cx, options.host_settings).await;
    let directory = run.home().join(DIRECTORY)?;
    let settings = settings::render(options, opts, &host);
    stage(&mut prepared, directory.join("settings.json")?, pretty(settings));
    if options.workspace == Workspace::Load {
        let config =
            Map::from_iter([("trustedFolders".to_owned(), json!([run.workspace().as_str()]))]);
        stage(&mut prepared, directory.join("config.json")?, pretty(config));
    }
    if let Some(servers) = servers(opts)? {
        stage(&mut prepared, directory.join("mcp-config.json")?, pretty(servers));
    }
    let told = instructions::merge([opts.runtime_context.as_str()], host.instructions.as_deref());
    if let Some(told) = told {
        stage(&mut prepared, directory.join(host::INSTRUCTIONS)?, told);
    }
    prepared.mounts.push(options.sessions.mount(&NAME, directory.join("session-state")?)?);
    let id = SessionId::of_session(&opts.session, &**cx.entropy())?;
    prepared.state.extend(id.map(|id| (SESSION_ID.to_owned(), id.to_string())));
    Ok(prepared)
}

/// Returns `mcp-config.json` (Copilot CLI 1.0.102).
fn servers(opts: &PrepareOpts) -> Result<Option<Map<String, Value>>> {
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?;
    if servers.is_empty() {
        return Ok(None);
    }
    let servers = servers.into_iter().map(|(name, server)| {
        let kind = match server {
            mcp::McpServer::Local { .. } => "local",
            mcp::McpServer::Remote { .. } => "http",
        };
        let mut members = server.members("url");
        members.insert("type".to_owned(), kind.into());
        members.insert("tools".to_owned(), json!(["*"]));
        (name.to_owned(), Value::from(members))
    });
    let servers: Map<_, _> = servers.collect();
    Ok(Some(Map::from_iter([("mcpServers".to_owned(), servers.into())])))
}

fn pretty(json: Map<String, Value>) -> String {
    format!("{:#}\n", Value::from(json))
}

fn stage(prepared: &mut ContainerConfig, path: ContainerPath, contents: String) {
    prepared.files.push(StagedFile::new(path, contents));
}
