//! The command that starts Codex.

use moat_agent::{CommandLine, SessionId};
use moat_provider_core::{
    Approval, ContainerConfig, Error, ErrorKind, Launch, LaunchMode, Result, Session,
};

use super::Options;

/// Returns program and arguments.
///
/// Flags prevail over the settings that a repository brings, so everything that must not depend on
/// one comes as a flag.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for an id that is none, [`ErrorKind::Unsupported`] for a launch that
/// this version does not know.
pub(crate) fn command(
    options: &Options,
    launch: &Launch,
    _: &ContainerConfig,
) -> Result<Vec<String>> {
    let mut command = CommandLine::new("codex");
    let is_headless = match launch.mode {
        LaunchMode::Interactive => false,
        LaunchMode::Headless => true,
        _ => return Err(unsupported("this way to start")),
    };
    if is_headless {
        command = command.flag("exec");
    }
    let resumed = match &launch.session {
        Session::Fresh => None,
        Session::Continue => Some(None),
        Session::Resume(id) => Some(Some(id.parse::<SessionId>()?)),
        _ => return Err(unsupported("this kind of conversation")),
    };
    if resumed.is_some() {
        command = command.flag("resume");
    }
    if is_headless {
        // A workspace need not be a repository (0.169.0 refuses it otherwise, trusted or not).
        command = command.flag("--skip-git-repo-check");
    }
    command = match launch.approval {
        Approval::Unattended => command.flag("--dangerously-bypass-approvals-and-sandbox"),
        // Both stand in the settings as well, over which those of a repository prevail.
        Approval::AgentDefault => command
            .option("--config", "approval_policy=\"on-request\"")
            .option("--config", "sandbox_mode=\"workspace-write\""),
        _ => return Err(unsupported("this kind of approval")),
    };
    if let Some(model) = &options.model {
        command = command.option("--model", model);
    }
    if let Some(effort) = &options.effort {
        let effort = toml::Value::from(effort.as_str());
        command = command.option("--config", &format!("model_reasoning_effort={effort}"));
    }
    command = match resumed {
        None => command,
        Some(Some(id)) => command.flag(id.as_str()),
        Some(None) if is_headless => command.flag("--last"),
        // What ran headless is a conversation as well.
        Some(None) => command.flag("--last").flag("--include-non-interactive"),
    };
    if let Some(prompt) = &launch.prompt {
        command = command.prompt(prompt);
    }
    command.finish()
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Codex does not offer {what}"))
        .with_hint("start it without")
}
