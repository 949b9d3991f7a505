//! The command that starts OpenCode.

use moat_agent::CommandLine;
use moat_provider_core::{ContainerConfig, Error, ErrorKind, Launch, LaunchMode, Result, Session};

use crate::agent::{Options, VENDOR, is_unattended};

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
    let mut command = CommandLine::new("opencode");
    command = match launch.mode {
        LaunchMode::Interactive => command,
        LaunchMode::Headless => command.flag("run"),
        _ => return Err(unsupported("this way to start")),
    };
    if is_unattended(launch.approval) {
        command = command.flag("--auto");
    }
    if let Some(model) = &options.model {
        command = match config.state.get(VENDOR) {
            Some(vendor) => command.option("--model", &format!("{vendor}/{model}")),
            None => command.option("--model", model),
        };
    }
    command = match &launch.session {
        Session::Fresh => command,
        Session::Continue => command.flag("--continue"),
        Session::Resume(id) if is_id(id) => command.option("--session", id),
        Session::Resume(_) => {
            return Err(Error::invalid("this is not the id of a conversation")
                .with_hint("opencode session list shows them: an id begins with ses_"));
        }
        _ => return Err(unsupported("this kind of conversation")),
    };
    match (&launch.prompt, launch.mode) {
        (Some(prompt), LaunchMode::Headless) => {
            let mut words = command.prompt(prompt).finish()?;
            words.pop();
            // A word with a space in it gets quotation marks around it; the words are joined by
            // spaces (1.18.33).
            words.extend(prompt.split(' ').map(str::to_owned));
            Ok(words)
        }
        (Some(prompt), _) => command.option("--prompt", prompt).finish(),
        (None, _) => command.finish(),
    }
}

/// `ses_` and letters and digits.
fn is_id(text: &str) -> bool {
    let rest = text.strip_prefix("ses_").unwrap_or_default();
    (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("OpenCode does not offer {what}"))
        .with_hint("start it without")
}
