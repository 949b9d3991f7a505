//! Pi as an agent: what stands in the container.

use moat_agent::{SessionId, SessionStore, keys, mcp};
use moat_provider_core::{
    ContainerConfig, EnvVar, Error, ErrorKind, HostContext, PrepareOpts, ProviderName, Result,
    StagedFile,
};
use serde_json::{Map, Value, json};

use crate::Backend;

/// The name of the provider.
pub(crate) static NAME: ProviderName = ProviderName::from_static("pi");

/// The name that people know.
pub(crate) const TITLE: &str = "Pi";

/// The directory of Pi, below the home directory.
const DIRECTORY: &str = ".pi/agent";

/// The entry of the run's state with the name that Pi has for the vendor.
pub(crate) const VENDOR: &str = "pi_vendor";

/// The entry under which a run keeps the id of its conversation, where it is known from the start: in
/// [`ContainerConfig::state`](moat_provider_core::ContainerConfig::state), and from there in the
/// run's `metadata.json`.
pub const SESSION_ID: &str = "pi_session_id";

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) backend: Option<Backend>,
    pub(crate) model: Option<String>,
    pub(crate) sessions: SessionStore,
}

/// What holds in every sandbox (Pi 1.5.2): no catalogue, no check for a version, no telemetry.
const ALWAYS: &[(&str, &str)] =
    &[("PI_OFFLINE", "1"), ("PI_SKIP_VERSION_CHECK", "1"), ("PI_TELEMETRY", "0")];

/// Decides what goes into the container.
pub(crate) fn prepare(
    cx: &HostContext,
    options: &Options,
    opts: &PrepareOpts,
) -> Result<ContainerConfig> {
    let run = &*opts.run;
    let directory = run.home().join(DIRECTORY)?;
    let sessions = directory.join("sessions")?;
    let mut prepared = ContainerConfig::default();
    for (name, value) in ALWAYS {
        prepared.env.push(EnvVar::new(*name, *value)?);
    }
    // A workspace's own setting for it is read before anybody trusts the workspace.
    prepared.env.push(EnvVar::new("PI_CODING_AGENT_SESSION_DIR", sessions.as_str())?);
    if let Some(backend) = keys::of_run(TITLE, options.backend, run)? {
        check_choice(options, opts, backend)?;
        prepared.state.insert(VENDOR.to_owned(), backend.vendor().to_owned());
    }
    let mut stage = |name: &str, json: Value| {
        let file = StagedFile::new(directory.join(name)?, format!("{json:#}\n"));
        prepared.files.push(file);
        Ok::<_, Error>(())
    };
    stage(
        "settings.json",
        json!({
            "defaultProjectTrust": "never",
            "enableAnalytics": false,
            "enableInstallTelemetry": false,
            "quietStartup": true,
        }),
    )?;
    if let Some(servers) = servers(opts)? {
        stage("mcp.json", servers)?;
    }
    let told = moat_agent::instructions::merge([opts.runtime_context.as_str()], None);
    if let Some(told) = told {
        prepared.files.push(StagedFile::new(directory.join("AGENTS.md")?, told));
    }
    prepared.mounts.push(options.sessions.mount(&NAME, sessions)?);
    let id = SessionId::of_session(&opts.session, &**cx.entropy())?;
    prepared.state.extend(id.map(|id| (SESSION_ID.to_owned(), id.to_string())));
    Ok(prepared)
}

/// With keys of two vendors in its environment, Pi decides by itself, unless a model is named.
fn check_choice(options: &Options, opts: &PrepareOpts, chosen: Backend) -> Result<()> {
    let others = opts.run.grants().iter().map(|info| info.key().provider());
    let mut others =
        others.filter(|name| *name != chosen.provider() && Backend::named(name.as_str()).is_ok());
    match others.next().filter(|_| options.model.is_none()) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::Conflict,
            format!("with {other} in the same run, Pi does not keep to {}", chosen.provider()),
        )
        .with_hint("name a model: --model, or start the run without the other grant")),
    }
}

fn servers(opts: &PrepareOpts) -> Result<Option<Value>> {
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?;
    if servers.is_empty() {
        return Ok(None);
    }
    let mut members = Map::new();
    for (name, server) in servers {
        let mut server = Value::from(server.members("url"));
        check(name, &server)?;
        // Else its tools are to be had through scripts alone.
        server["exposure"] = "direct".into();
        members.insert(name.to_owned(), server);
    }
    Ok(Some(json!({ "mcpServers": members })))
}

/// In values of this file Pi runs what follows a `!`, and puts variables in.
fn check(name: &str, value: &Value) -> Result<()> {
    match value {
        Value::String(text) if text.starts_with('!') || text.contains('$') => {
            Err(Error::invalid(format!("the MCP server {name} holds {text:?}, which Pi expands"))
                .with_hint("write it without ! at the beginning and without $"))
        }
        Value::Array(values) => values.iter().try_for_each(|value| check(name, value)),
        Value::Object(members) => members.values().try_for_each(|value| check(name, value)),
        _ => Ok(()),
    }
}
