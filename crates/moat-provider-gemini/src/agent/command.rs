//! The command that starts Gemini CLI.

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
    let mut command = CommandLine::new("gemini");
    // There is no setting for it, only the flag (0.61.0).
    command = match launch.approval {
        Approval::Unattended => command.option("--approval-mode", "yolo"),
        Approval::AgentDefault => command.option("--approval-mode", "default"),
        _ => return Err(unsupported("this kind of approval")),
    };
    if let Some(model) = &options.model {
        command = command.option("--model", model);
    }
    command = match &launch.session {
        Session::Fresh => match SessionId::kept(&config.state, SESSION_ID) {
            Some(id) => command.option("--session-id", id.as_str()),
            None => command,
        },
        Session::Continue => command.option("--resume", "latest"),
        Session::Resume(id) => {
            let id: SessionId = id.parse()?;
            command.option("--resume", id.as_str())
        }
        _ => return Err(unsupported("this kind of conversation")),
    };
    // As one word, because a prompt may begin with a dash.
    let (flag, needed) = match launch.mode {
        LaunchMode::Interactive => ("--prompt-interactive", false),
        LaunchMode::Headless => ("--prompt", true),
        _ => return Err(unsupported("this way to start")),
    };
    command = match &launch.prompt {
        Some(prompt) => command.option(flag, prompt),
        // What comes by standard input is put before it.
        None if needed => command.option(flag, ""),
        None => command,
    };
    command.finish()
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Gemini CLI does not offer {what}"))
        .with_hint("start it without")
}
