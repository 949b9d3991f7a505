//! The command that starts Copilot CLI.

use moat_agent::{CommandLine, SessionId};
use moat_provider_core::{
    Approval, ContainerConfig, Error, ErrorKind, Launch, LaunchMode, Result, Session,
};

use super::{Options, SESSION_ID};

/// Returns program and arguments.
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
    let mut command =
        CommandLine::new("copilot").flag("--no-auto-update").flag("--disable-client-telemetry");
    command = match launch.approval {
        Approval::Unattended => command.flag("--allow-all"),
        Approval::AgentDefault => command,
        _ => return Err(unsupported("this kind of approval")),
    };
    let pinned = [
        ("--model", &options.model),
        ("--context", &options.context),
        ("--reasoning-effort", &options.effort),
    ];
    for (flag, value) in pinned {
        if let Some(value) = value {
            command = command.option(flag, value);
        }
    }
    command = match &launch.session {
        Session::Fresh => match SessionId::kept(&config.state, SESSION_ID) {
            Some(id) => command.option("--session-id", id.as_str()),
            None => command,
        },
        Session::Continue => command.flag("--continue"),
        Session::Resume(id) => {
            let id: SessionId = id.parse()?;
            command.option("--resume", id.as_str())
        }
        _ => return Err(unsupported("this kind of conversation")),
    };
    // As one word, because a prompt may begin with a dash.
    let flag = match launch.mode {
        LaunchMode::Interactive => "--interactive",
        LaunchMode::Headless => "--prompt",
        _ => return Err(unsupported("this way to start")),
    };
    // Without a prompt, a headless one comes by standard input.
    if let Some(prompt) = &launch.prompt {
        command = command.option(flag, prompt);
    }
    command.finish()
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Copilot CLI does not offer {what}"))
        .with_hint("start it without")
}
