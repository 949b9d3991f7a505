//! gh as a source of tokens.

use moat_provider_core::{CommandSpec, EnvVar, ErrorKind, HostContext, Result, Secret};

use crate::host::Instance;

/// Asks gh for the token of its active account; `None` when it has none.
///
/// The child gets no token variable, so it answers from its own login alone: with `GH_TOKEN` set it
/// would only repeat that (gh 2.x, `pkg/cmd/auth/token`).
///
/// # Errors
///
/// [`ErrorKind::CommandNotFound`] when gh is not installed, and the other errors of the port.
pub(crate) async fn token(cx: &HostContext, instance: &Instance) -> Result<Option<Secret>> {
    let output = cx.commands().run(&command(instance)?).await?;
    let token = output.stdout.trimmed();
    Ok((output.succeeded() && !token.is_empty()).then_some(token))
}

/// The same for a grant and for each refresh.
fn command(instance: &Instance) -> Result<CommandSpec> {
    Ok(CommandSpec::new("gh")
        .args(["auth", "token", "--hostname", instance.name()])
        // Where gh keeps its login: its configuration, and the keyring behind the session bus.
        .inherit(["GH_CONFIG_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"])
        .env(EnvVar::new("GH_PROMPT_DISABLED", "1")?)
        .env(EnvVar::new("GH_NO_UPDATE_NOTIFIER", "1")?))
}

/// Whether gh is not there to be asked, which in an automatic search is no error.
pub(crate) fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::CommandNotFound | ErrorKind::PortMissing)
}
