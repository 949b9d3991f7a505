//! Gemini CLI as an agent: what stands in the container, and how it is started.

mod command;
mod host;
mod settings;

use moat_agent::{Backends, SessionId, SessionStore, instructions};
use moat_provider_core::{
    ContainerConfig, ContainerPath, EnvVar, HostContext, PrepareOpts, ProviderName, Result,
    StagedFile,
};
use serde_json::{Map, Value};

pub(crate) use self::command::command;
use crate::kind::NAME;

/// The directory of Gemini CLI, below the home directory.
const DIRECTORY: &str = ".gemini";

/// The entry under which a run keeps the id of its conversation, where it is known from the start: in
/// [`ContainerConfig::state`](moat_provider_core::ContainerConfig::state), and from there in the
/// run's `metadata.json`.
pub const SESSION_ID: &str = "gemini_session_id";

/// What the agent runs on.
pub(crate) static BACKENDS: Backends<'static> = Backends::new("Gemini CLI", &PROVIDERS);
static PROVIDERS: [&ProviderName; 1] = [&NAME];

/// What holds in every sandbox (Gemini CLI 0.61.0).
const ALWAYS: &[(&str, &str)] = &[
    // Headless it does not start in a folder that nobody trusts, and the person trusted this one by
    // starting a sandbox around it.
    ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
    // The sandbox is there already, and its own needs Docker.
    ("GEMINI_SANDBOX", "false"),
];

/// Whether the person's own Gemini CLI has a say in the container's settings.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSettings {
    /// A few preferences and the instructions are taken over.
    #[default]
    Use,
    /// Nothing is.
    Ignore,
}

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) sessions: SessionStore,
    pub(crate) host_settings: HostSettings,
}

/// Decides what goes into the container.
pub(crate) async fn prepare(
    cx: &HostContext,
    options: &Options,
    opts: &PrepareOpts,
) -> Result<ContainerConfig> {
    let host = host::read(cx, options.host_settings).await;
    let directory = opts.run.home().join(DIRECTORY)?;
    let mut prepared = ContainerConfig::default();
    for (name, value) in ALWAYS {
        prepared.env.push(EnvVar::new(*name, *value)?);
    }
    if let Some(project) = &options.project {
        prepared.env.push(EnvVar::new("GOOGLE_CLOUD_PROJECT", project.as_str())?);
    }
    let settings = settings::render(opts, &host)?;
    stage(&mut prepared, directory.join(settings::FILE)?, pretty(settings));
    let told = instructions::merge([opts.runtime_context.as_str()], host.instructions.as_deref());
    if let Some(told) = told {
        stage(&mut prepared, directory.join("GEMINI.md")?, told);
    }
    prepared.mounts.push(options.sessions.mount(&NAME, directory.join("tmp")?)?);
    let id = SessionId::of_session(&opts.session, &**cx.entropy())?;
    prepared.state.extend(id.map(|id| (SESSION_ID.to_owned(), id.to_string())));
    Ok(prepared)
}

fn pretty(json: Map<String, Value>) -> String {
    format!("{:#}\n", Value::from(json))
}

fn stage(prepared: &mut ContainerConfig, path: ContainerPath, contents: String) {
    prepared.files.push(StagedFile::new(path, contents));
}
