//! `moat shell`.

use std::path::Path;

use moat_run::sandbox::{self, EngineKind};
use moat_run::{RunMetadata, StateDir};

use super::run::{FAILED, engine};
use super::runs;
use crate::app::{App, plain_variable};
use crate::args::ShellArgs;
use crate::error::{CliError, Code, Result};

/// The shell where the person's own is not one of the system's.
const USUAL: &str = "/bin/sh";

/// Starts a shell, or another command, beside the one of a run.
pub(super) async fn shell(app: &App<'_>, args: &ShellArgs) -> Result<Code> {
    let state = StateDir::new(app.system.home()?);
    let id = match &args.run {
        Some(run) => runs::find(app, &state, Some(run))?,
        None => runs::latest_alive(app, &state)?,
    };
    if !state.is_alive(&id)? {
        return Err(CliError::new(format!("{id} has ended")).with_hint("moat runs"));
    }
    let run = RunMetadata::read(&state.run(&id))?;
    let command = |shell: String| match args.command.is_empty() {
        true => vec![shell],
        false => args.command.clone(),
    };
    let kind = run.sandbox.as_deref();
    let code = match (&run.visits, engine_of(kind)) {
        (_, Some(kind)) => {
            // What its image has is not known.
            let engine = engine(app, kind, "")?;
            engine.visit(&run.id, &command(USUAL.to_owned())).await?
        }
        (Some(socket), None) if kind == Some("bubblewrap") => {
            sandbox::visit(socket, &command(usual_shell(app)?)).await?
        }
        _ => return Err(elsewhere(&run, kind)),
    };
    Ok(Code::Passed(u8::try_from(code).unwrap_or(FAILED)))
}

/// Returns the person's shell, if a sandbox has it: it has programs of the system alone.
fn usual_shell(app: &App<'_>) -> Result<String> {
    let own = plain_variable(&*app.system.environment(), "SHELL")?;
    let is_there = |shell: &String| {
        let path = Path::new(shell);
        ["/bin", "/usr/bin"].iter().any(|place| path.parent() == Some(Path::new(place)))
            && path.is_file()
    };
    Ok(own.filter(is_there).unwrap_or_else(|| USUAL.to_owned()))
}

/// Returns the engine in which a run is.
fn engine_of(kind: Option<&str>) -> Option<EngineKind> {
    let mut engines = [EngineKind::Docker, EngineKind::Podman].into_iter();
    engines.find(|engine| Some(engine.as_str()) == kind)
}

/// Says how a shell is had where it is not ours to start.
fn elsewhere(run: &RunMetadata, kind: Option<&str>) -> CliError {
    let id = &run.id;
    match kind {
        Some("none") => CliError::new(format!("{id} runs without a sandbox"))
            .with_hint("open another terminal: what the run can reach, it can reach"),
        _ => CliError::new(format!("{id} runs in a sandbox of your own"))
            .with_hint("use the means of that sandbox"),
    }
}
