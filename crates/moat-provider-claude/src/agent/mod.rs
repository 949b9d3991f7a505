//! Claude Code as an agent: which grants, what stands in the container, how it is started.

mod command;
mod config;
mod environment;
mod host;
mod instructions;
mod key;
mod plugins;
mod settings;

use std::path::PathBuf;

use moat_agent::{SessionId, SessionStore};
use moat_provider_core::{
    ContainerConfig, ContainerPath, CredentialKey, Error, ErrorKind, HostContext, MountConfig,
    PrepareOpts, Result, RunContext, StagedFile,
};
use serde_json::{Map, Value};

pub(crate) use self::command::command;
pub use self::settings::SettingsSource;
use crate::container::DIRECTORY;
use crate::session::{SESSION_ID, transcript_directory};
use crate::token::{ANTHROPIC, CLAUDE};

/// Whether the person's own Claude Code has a say in the container's settings.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSettings {
    /// Its plugins, marketplaces, instructions and a few preferences are taken over.
    #[default]
    Use,
    /// Nothing of it is.
    Ignore,
}

/// How much the container knows about whose account it uses.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nothing.
    #[default]
    Hidden,
    /// The mail address, the organization and their ids, as the person's own Claude Code keeps them.
    Shared,
}

/// Whether Claude Code sends telemetry and fetches what it does not need to work.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonessentialTraffic {
    /// It does not.
    #[default]
    Off,
    /// It does what it does outside.
    On,
}

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) sessions: SessionStore,
    pub(crate) plugin_seed: Option<PathBuf>,
    pub(crate) settings: Vec<(SettingsSource, Map<String, Value>)>,
    pub(crate) host_settings: HostSettings,
    pub(crate) identity: Identity,
    pub(crate) traffic: NonessentialTraffic,
}

/// Chooses the grants of a run: those that were named, and of this vendor's, where none was named,
/// the subscription, else the key.
///
/// # Errors
///
/// [`ErrorKind::CredentialNotFound`] when there is neither.
pub(crate) fn select_grants(
    named: &[CredentialKey],
    stored: &[CredentialKey],
) -> Result<Vec<CredentialKey>> {
    let is_of = |name| move |key: &&CredentialKey| key.provider() == name;
    let is_ours = |key: &CredentialKey| [&CLAUDE, &ANTHROPIC].contains(&key.provider());
    let mut chosen = Vec::new();
    if !named.iter().any(is_ours) {
        let found = stored.iter().find(is_of(&CLAUDE)).or(stored.iter().find(is_of(&ANTHROPIC)));
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::CredentialNotFound, "Claude Code has no credential to run with")
                .with_hint("moat grant claude, or with an API key: moat grant anthropic")
        })?;
        chosen.push(found.clone());
    }
    for key in named {
        if !chosen.contains(key) {
            chosen.push(key.clone());
        }
    }
    Ok(chosen)
}

/// Decides what goes into the container.
pub(crate) async fn prepare(
    cx: &HostContext,
    options: &Options,
    opts: &PrepareOpts,
) -> Result<ContainerConfig> {
    let run = &*opts.run;
    let host = host::read(cx, options.host_settings).await;
    let directory = run.home().join(DIRECTORY)?;
    let mut prepared = ContainerConfig::default();
    prepared.env = environment::variables(options)?;

    let config = config::render(options, opts, &host)?;
    stage(&mut prepared, run.home().join(config::FILE)?, pretty(config));
    let settings = settings::unite(options, &host);
    stage(&mut prepared, directory.join(settings::FILE)?, pretty(settings.settings));
    stage(&mut prepared, directory.join(settings::OVERRIDES)?, pretty(settings.overrides));
    if let Some(script) = key::script(run)? {
        let path = directory.join(key::SCRIPT)?;
        prepared.env.extend(key::variables(&path)?);
        stage(&mut prepared, path, script);
    }
    if let Some(instructions) = instructions::render(opts, &host) {
        stage(&mut prepared, directory.join(instructions::FILE)?, instructions);
    }

    prepared.mounts.push(conversations(&options.sessions, run)?);
    if let Some(seed) = &options.plugin_seed {
        let (variable, mount) = plugins::seed(seed)?;
        prepared.env.push(variable);
        prepared.mounts.push(mount);
    }
    let session = SessionId::random(&**cx.entropy())?;
    prepared.state.insert(SESSION_ID.to_owned(), session.to_string());
    Ok(prepared)
}

fn pretty(json: Map<String, Value>) -> String {
    format!("{:#}\n", Value::from(json))
}

fn stage(prepared: &mut ContainerConfig, path: ContainerPath, contents: String) {
    prepared.files.push(StagedFile::new(path, contents));
}

/// Mounts the conversations: all that are held in the container, or, where the directory is the
/// person's own, those of the workspace.
fn conversations(store: &SessionStore, run: &RunContext) -> Result<MountConfig> {
    let all = run.home().join(&format!("{DIRECTORY}/projects"))?;
    let workspace = transcript_directory(run.workspace().as_str());
    match (store, workspace) {
        (SessionStore::Shared(_), Some(name)) => store.mount(&CLAUDE, all.join(&name)?),
        _ => store.mount(&CLAUDE, all),
    }
}
