//! OpenCode as an agent: what stands in the container.

use moat_agent::mcp::{self, McpServer};
use moat_agent::{SessionStore, keys};
use moat_provider_core::{
    Approval, ContainerConfig, EnvVar, Error, ErrorKind, PrepareOpts, ProviderName, Result,
    StagedFile,
};
use serde_json::{Map, Value, json};

use crate::Backend;

/// The name of the provider.
pub(crate) static NAME: ProviderName = ProviderName::from_static("opencode");

/// The name that people know.
pub(crate) const TITLE: &str = "OpenCode";

/// The directory of OpenCode's configuration, below the home directory.
const DIRECTORY: &str = ".config/opencode";

/// The entry of the run's state with the name that OpenCode has for the vendor.
pub(crate) const VENDOR: &str = "opencode_vendor";

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) backend: Option<Backend>,
    pub(crate) model: Option<String>,
    pub(crate) sessions: SessionStore,
}

/// What holds in every sandbox (OpenCode 1.18.33): no update, no plugins, no list of models, no language
/// servers, no upload of conversations.
const ALWAYS: &[(&str, &str)] = &[
    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
    ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
    ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
    ("OPENCODE_DISABLE_SHARE", "1"),
];

/// Decides what goes into the container.
pub(crate) fn prepare(options: &Options, opts: &PrepareOpts) -> Result<ContainerConfig> {
    let run = &*opts.run;
    let directory = run.home().join(DIRECTORY)?;
    let mut prepared = ContainerConfig::default();
    for (name, value) in ALWAYS {
        prepared.env.push(EnvVar::new(*name, *value)?);
    }
    if let Some(backend) = keys::of_run(TITLE, options.backend, run)? {
        // By this variable, because it prevails over a workspace's own configuration.
        let fixed = fixed(backend)?.to_string();
        prepared.env.push(EnvVar::new("OPENCODE_CONFIG_CONTENT", fixed)?);
        prepared.state.insert(VENDOR.to_owned(), backend.vendor().to_owned());
    }
    let config = json!({ "autoupdate": false, "mcp": servers(opts)?, "share": "disabled" });
    let file = StagedFile::new(directory.join("opencode.json")?, format!("{config:#}\n"));
    prepared.files.push(file);
    let told = moat_agent::instructions::merge([opts.runtime_context.as_str()], None);
    if let Some(told) = told {
        prepared.files.push(StagedFile::new(directory.join("AGENTS.md")?, told));
    }
    let data = run.home().join(".local/share/opencode")?;
    prepared.mounts.push(options.sessions.mount(&NAME, data)?);
    Ok(prepared)
}

/// Returns what a workspace does not change: which vendor is asked, where, and with which key.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a vendor that this version does not know.
fn fixed(backend: Backend) -> Result<Value> {
    let (url, variable) = match backend {
        Backend::Anthropic => ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
        Backend::OpenAi => ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        Backend::Gemini => ("https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
        _ => {
            let unknown = format!("OpenCode is not prepared to run on {}", backend.provider());
            return Err(Error::new(ErrorKind::Unsupported, unknown));
        }
    };
    let options = json!({ "apiKey": format!("{{env:{variable}}}"), "baseURL": url });
    Ok(json!({
        "autoupdate": false,
        "enabled_providers": [backend.vendor()],
        "provider": { backend.vendor(): { "options": options } },
        "share": "disabled",
    }))
}

fn servers(opts: &PrepareOpts) -> Result<Map<String, Value>> {
    let servers = mcp::servers(&opts.mcp_servers, &opts.run)?.into_iter().map(|(name, server)| {
        let server = match server {
            McpServer::Local { command, args, env } => {
                let words: Vec<_> =
                    std::iter::once(command).chain(args.iter().map(String::as_str)).collect();
                let pair = |var: &EnvVar| (var.name().to_owned(), Value::from(var.value()));
                let env: Map<_, _> = env.iter().map(pair).collect();
                json!({ "command": words, "enabled": true, "environment": env, "type": "local" })
            }
            McpServer::Remote { url, headers } => {
                // Without `oauth` it would begin a login of its own after a 401.
                let mut server = json!({ "enabled": true, "oauth": false, "type": "remote" });
                server["headers"] = json!(headers);
                server["url"] = url.into();
                server
            }
        };
        check(name, &server)?;
        Ok((name.to_owned(), server))
    });
    servers.collect()
}

/// OpenCode puts variables and files in where it finds `{env:…}` and `{file:…}`.
fn check(name: &str, server: &Value) -> Result<()> {
    let text = server.to_string();
    match text.contains("{env:") || text.contains("{file:") {
        false => Ok(()),
        true => Err(Error::invalid(format!("the MCP server {name} holds what OpenCode expands"))
            .with_hint("write it without {env:…} and {file:…}")),
    }
}

/// Whether the agent may act without asking.
pub(crate) fn is_unattended(approval: Approval) -> bool {
    approval == Approval::Unattended
}
