//! Codex as an agent: what it finds in its container, and how it is started.

mod command;
mod config;
mod host;

use moat_agent::{Backends, SessionStore, instructions};
use moat_provider_core::{
    ContainerConfig, CredentialKey, HostContext, PrepareOpts, ProxyConfigurer, Result, StagedFile,
};

pub(crate) use self::command::command;
use crate::container::{DIRECTORY, is_key_used, key_file};
use crate::rules;
use crate::token::{CODEX, OPENAI};

/// Whether the person's own Codex has a say in the container's settings.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSettings {
    /// Its instructions and a few preferences are taken over.
    #[default]
    Use,
    /// Nothing of it is.
    Ignore,
}

/// How Codex talks to a model.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// By WebSocket, and where the vendor does not offer it by HTTP.
    #[default]
    WebSocket,
    /// By HTTP: for a proxy that cannot pass WebSockets on, or is to see each request.
    Http,
}

/// What can be set about the agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    pub(crate) effort: Option<String>,
    pub(crate) sessions: SessionStore,
    pub(crate) host_settings: HostSettings,
    pub(crate) transport: Transport,
}

/// Chooses the grants of a run: those that were named, and of this vendor's, where none was named,
/// the login, else the key.
///
/// # Errors
///
/// [`ErrorKind::CredentialNotFound`](moat_provider_core::ErrorKind::CredentialNotFound) when there
/// is neither.
pub(crate) fn select_grants(
    named: &[CredentialKey],
    stored: &[CredentialKey],
) -> Result<Vec<CredentialKey>> {
    let both = [&CODEX, &OPENAI];
    let is_named = named.iter().any(|key| both.contains(&key.provider()));
    let has_login = stored.iter().any(|key| *key.provider() == CODEX);
    if is_named {
        let mut chosen: Vec<CredentialKey> = Vec::new();
        for key in named {
            if !chosen.contains(key) {
                chosen.push(key.clone());
            }
        }
        return Ok(chosen);
    }
    let backends = Backends::new("Codex", &both);
    match has_login {
        true => backends.wanted(Some(&CODEX)).select(named, stored),
        false => backends.select(named, stored),
    }
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
    prepared.files.extend(key_file(run)?);
    let config = config::render(opts, &host)?;
    prepared.files.push(StagedFile::new(directory.join(config::FILE)?, config));
    let told = [opts.runtime_context.as_str()];
    if let Some(text) = instructions::merge(told, host.instructions.as_deref()) {
        prepared.files.push(StagedFile::new(directory.join("AGENTS.md")?, text));
    }
    prepared.mounts.push(options.sessions.mount(&CODEX, directory.join("sessions")?)?);
    if options.transport == Transport::Http {
        rules::without_websocket(run)?.into_iter().for_each(|answer| prepared.rules.answer(answer));
    }
    if is_key_used(run) {
        prepared.rules.answer(rules::no_models()?);
    }
    Ok(prepared)
}
