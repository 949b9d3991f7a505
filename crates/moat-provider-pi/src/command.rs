//! The command that starts Pi.

use moat_agent::{CommandLine, SessionId};
use moat_provider_core::{ContainerConfig, Error, ErrorKind, Launch, LaunchMode, Result, Session};

use crate::agent::{Options, SESSION_ID, VENDOR};

/// Returns program and arguments. Pi asks before nothing, so every approval is the same to it.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for an id or a model that is none, [`ErrorKind::Unsupported`] for a
/// launch that this version does not know.
pub(crate) fn command(
    options: &Options,
    launch: &Launch,
    config: &ContainerConfig,
) -> Result<Vec<String>> {
    let mut command = CommandLine::new("pi").flag("--no-approve");
    if let Some(model) = &options.model {
        if model.is_empty() || model.starts_with('-') {
            return Err(Error::invalid(format!("{model:?} is no model"))
                .with_hint("write the vendor's name of one"));
        }
        // Pi reads the two words alone, not one with an equals sign (1.5.2).
        command = command.flag("--model");
        command = match config.state.get(VENDOR) {
            Some(vendor) => command.flag(&format!("{vendor}/{model}")),
            None => command.flag(model),
        };
    }
    command = match &launch.session {
        Session::Fresh => match SessionId::kept(&config.state, SESSION_ID) {
            Some(id) => command.flag("--session-id").flag(id.as_str()),
            None => command,
        },
        Session::Continue => command.flag("--continue"),
        Session::Resume(id) => {
            let id: SessionId = id.parse()?;
            command.flag("--session").flag(id.as_str())
        }
        _ => return Err(unsupported("this kind of conversation")),
    };
    command = match launch.mode {
        LaunchMode::Interactive => command,
        LaunchMode::Headless => command.flag("--print"),
        _ => return Err(unsupported("this way to start")),
    };
    if let Some(prompt) = &launch.prompt {
        // At the beginning, `@` would name a file that is put in.
        command = match prompt.starts_with('@') {
            true => command.prompt(&format!(" {prompt}")),
            false => command.prompt(prompt),
        };
    }
    command.finish()
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Pi does not offer {what}"))
        .with_hint("start it without")
}
