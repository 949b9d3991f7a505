//! The command that starts Claude Code.

use moat_agent::{CommandLine, SessionId};
use moat_provider_core::{
    Approval, ContainerConfig, Error, ErrorKind, Launch, LaunchMode, Result, Session,
};

use super::{Options, settings};
use crate::session;

/// Returns program and arguments.
///
/// Every run has a conversation of its own, whose id it knows from the start: one that goes on
/// where another left off is a fork of it.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for an id that is none, [`ErrorKind::Unsupported`] for a launch that
/// this version does not know.
pub(crate) fn command(
    options: &Options,
    launch: &Launch,
    config: &ContainerConfig,
) -> Result<Vec<String>> {
    let mut command = CommandLine::new("claude");
    command = match launch.approval {
        Approval::Unattended => command.flag("--dangerously-skip-permissions"),
        Approval::AgentDefault => command,
        _ => return Err(unsupported("this kind of approval")),
    };
    if let Some(model) = &options.model {
        command = command.option("--model", model);
    }
    if let Some(overrides) = overrides(config) {
        command = command.option("--settings", overrides);
    }
    command = match &launch.session {
        Session::Fresh => command,
        Session::Continue => command.flag("--continue").flag("--fork-session"),
        Session::Resume(id) => {
            let id: SessionId = id.parse()?;
            command.option("--resume", id.as_str()).flag("--fork-session")
        }
        _ => return Err(unsupported("this kind of conversation")),
    };
    if let Some(id) = session::known(&config.state) {
        command = command.option("--session-id", id.as_str());
    }
    command = match launch.mode {
        LaunchMode::Interactive => command,
        LaunchMode::Headless => command.flag("--print"),
        _ => return Err(unsupported("this way to start")),
    };
    if let Some(prompt) = &launch.prompt {
        command = command.prompt(prompt);
    }
    command.finish()
}

/// Settings prevail over those of the workspace only when they come by a flag.
fn overrides(config: &ContainerConfig) -> Option<&str> {
    let paths = config.files.iter().map(|file| file.path().as_str());
    paths.into_iter().find(|path| path.ends_with(settings::OVERRIDES))
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Claude Code does not offer {what}"))
        .with_hint("start it without")
}
