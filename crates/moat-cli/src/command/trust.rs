//! `moat trust`: what a workspace asks for, and the person's answer.

use std::path::Path;

use moat_provider_core::{Answer, ErrorKind};
use serde_json::json;

use crate::app::App;
use crate::args::TrustArgs;
use crate::config::{Ask, Consent, FILE, WorkspaceConfig};
use crate::error::{CliError, Code, Result};
use crate::output::line;

/// Shows what a workspace asks for, and lets it have that.
pub(super) async fn trust(app: &App<'_>, args: &TrustArgs) -> Result<()> {
    let workspace = app.workspace(args.workspace.as_deref())?;
    let config = WorkspaceConfig::read(&workspace)?.ok_or_else(|| {
        CliError::usage(format!("there is no {FILE} in {}", workspace.display()))
            .with_hint("moat trust --workspace DIR")
    })?;
    let asks = config.asks();
    let how = if args.yes { Asking::Agreed } else { Asking::Person };
    agree(app, &workspace, &asks, how, &trust_command(&workspace)).await?;
    let text = match asks.len() {
        0 => format!("The {FILE} of this workspace asks for nothing that needs your consent."),
        _ => format!("The {FILE} of this workspace has what it asks for."),
    };
    app.output.result(&text, || {
        let asks: Vec<_> = asks.iter().map(Ask::as_str).collect();
        json!({ "workspace": workspace.to_string_lossy(), "trusted": asks })
    })
}

/// How consent comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// The person is asked, if there is anything new.
    Person,
    /// The person has said so already, with a flag.
    Agreed,
}

/// Returns the command that agrees to what a workspace asks for.
pub(super) fn trust_command(workspace: &Path) -> String {
    let directory = workspace.to_string_lossy();
    format!("moat trust --yes --workspace {}", shell_words::quote(&directory))
}

/// Makes sure that the person agrees to what a workspace asks for, and remembers it. `fix` is the
/// command that agrees where nobody can be asked.
///
/// # Errors
///
/// When the person does not agree, and where nobody can be asked.
pub(super) async fn agree(
    app: &App<'_>,
    workspace: &Path,
    asks: &[Ask],
    how: Asking,
    fix: &str,
) -> Result<()> {
    let consent = Consent::read(&app.system.home()?, workspace);
    let missing = consent.missing(asks);
    if missing.is_empty() {
        return Ok(());
    }
    // A line break in its name would write lines of the question.
    let shown = line(&workspace.display().to_string());
    let list: Vec<_> = missing.iter().map(|ask| format!("  - {ask}")).collect();
    let list = list.join("\n");
    let refused =
        |why: &str| CliError::new(format!("{why}. The {FILE} of {shown} asks to:\n{list}"));
    if how == Asking::Person {
        let terminal = app.system.terminal();
        let text = format!("The {FILE} of {shown} asks to:\n{list}");
        let answer = match terminal.tell(&text).await {
            Ok(()) => terminal.confirm("Let it?", Answer::No).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Answer::Yes) => {}
            Ok(Answer::No) => {
                return Err(CliError::new("you did not agree to what the workspace asks for")
                    .with_code(Code::Cancelled)
                    .with_hint("moat run --no-config"));
            }
            Err(error) if error.kind() == ErrorKind::NotInteractive => {
                return Err(refused("nobody is there to agree to what the workspace asks for")
                    .with_hint(fix));
            }
            Err(error) => return Err(error.into()),
        }
    }
    consent.give(asks)
}
