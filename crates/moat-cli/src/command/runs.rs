//! `moat runs`.

use moat_provider_core::RunId;
use moat_run::{RunMetadata, RunState, StateDir};
use serde_json::{Value, json};

use super::describe::timestamp;
use super::proxy;
use crate::app::App;
use crate::error::{CliError, Result};
use crate::output::{Table, clipped, relative};

/// The width of a column; agents are started with many flags.
const COMMAND: usize = 60;

/// Lists the runs, the latest first.
pub(super) fn runs(app: &App<'_>) -> Result<()> {
    let state = StateDir::new(app.system.home()?);
    let (mut runs, now) = (all(app, &state)?, app.now());
    for run in runs.iter_mut().filter(|run| run.state == RunState::Running) {
        // A process that is killed cannot write down that it was.
        if !state.is_alive(&run.id)? {
            run.state = RunState::Killed;
        }
    }
    if runs.is_empty() {
        app.output.note("There was no run yet. To start one: moat run -- COMMAND");
    }
    let mut table = Table::new(["RUN", "STATE", "STARTED", "GRANTS", "COMMAND", "WORKSPACE"]);
    for run in &runs {
        table.row([
            run.id.as_str(),
            &stands(run),
            &relative(run.created_at, now),
            &run.grants.join(", "),
            &clipped(&command(run), COMMAND),
            &run.workspace,
        ]);
    }
    let text = if runs.is_empty() { String::new() } else { table.render() };
    app.output.result(&text, || json!({ "runs": runs.iter().map(object).collect::<Vec<_>>() }))
}

/// Returns what is known of every run, the latest first. A damaged one is warned of.
pub(super) fn all(app: &App<'_>, state: &StateDir) -> Result<Vec<RunMetadata>> {
    let mut runs = Vec::new();
    for id in state.runs()? {
        match RunMetadata::read(&state.run(&id)) {
            Ok(run) => runs.push(run),
            Err(error) => app.output.warn(error.message()),
        }
    }
    runs.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    Ok(runs)
}

/// Returns the run that is meant: the latest, or the only one whose id begins so.
pub(super) fn find(app: &App<'_>, state: &StateDir, wanted: Option<&RunId>) -> Result<RunId> {
    let Some(wanted) = wanted else {
        let latest = all(app, state)?.into_iter().next();
        return latest
            .map(|run| run.id)
            .ok_or_else(|| CliError::new("there was no run yet").with_hint("moat run -- COMMAND"));
    };
    let mut found = state.runs()?;
    if found.contains(wanted) {
        return Ok(wanted.clone());
    }
    found.retain(|id| id.as_str().starts_with(wanted.as_str()));
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(CliError::new(format!("there is no run {wanted}")).with_hint("moat runs")),
        _ => {
            let message = format!("{} runs begin with {wanted}", found.len());
            Err(CliError::usage(message).with_hint("moat runs"))
        }
    }
}

/// Returns the latest run whose process lives.
pub(super) fn latest_alive(app: &App<'_>, state: &StateDir) -> Result<RunId> {
    for run in all(app, state)? {
        if run.state == RunState::Running && state.is_alive(&run.id)? {
            return Ok(run.id);
        }
    }
    Err(CliError::new("nothing runs").with_hint("moat run -- COMMAND"))
}

fn command(run: &RunMetadata) -> String {
    match &run.agent {
        Some(agent) if run.command.is_empty() => agent.clone(),
        None if run.sandbox.as_deref() == Some(proxy::SANDBOX) => "(moat proxy)".to_owned(),
        _ => shell_words::join(&run.command),
    }
}

pub(super) fn word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Killed => "killed",
        _ => "unknown",
    }
}

fn stands(run: &RunMetadata) -> String {
    match run.exit_code {
        Some(code) => format!("{} ({code})", word(run.state)),
        None => word(run.state).to_owned(),
    }
}

fn object(run: &RunMetadata) -> Value {
    json!({
        "id": run.id.as_str(),
        "state": word(run.state),
        "workspace": run.workspace,
        "grants": run.grants,
        "agent": run.agent,
        "session": run.session(),
        "command": run.command,
        "sandbox": run.sandbox,
        "created_at": timestamp(run.created_at),
        "stopped_at": run.stopped_at.map(timestamp),
        "exit_code": run.exit_code,
    })
}
