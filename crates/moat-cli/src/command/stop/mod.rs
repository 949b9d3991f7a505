//! `moat stop`.

mod owner;

use std::time::Duration;

use moat_provider_core::RunId;
use moat_run::{RunMetadata, RunState, StateDir};
use rustix::process::Signal;
use serde_json::json;

use self::owner::Owner;
use super::run::runner;
use super::runs::{find, word};
use crate::app::App;
use crate::args::{StopArgs, Stopping};
use crate::error::{CliError, Result};

/// For how long a run may come to its end: hooks are called, and what was minted is revoked.
const LIMIT: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// Ends a run, and says how it ended.
pub(super) async fn stop(app: &App<'_>, args: &StopArgs) -> Result<()> {
    let state = StateDir::new(app.system.home()?);
    let id = find(app, &state, Some(&args.run))?;
    let was_alive = state.is_alive(&id)?;
    if was_alive {
        end(app, &state, &id, args.how).await?;
    }
    let mut run = RunMetadata::read(&state.run(&id))?;
    let was_left = run.state == RunState::Running;
    if was_left {
        // Its process died before it could.
        runner(app, app.registry.clone())?.clean_up().await;
        run = RunMetadata::read(&state.run(&id))?;
    }
    let text = match (was_alive, was_left) {
        (true, false) => format!("Stopped {id}."),
        (true, true) => format!("Killed {id}, and cleaned up behind it."),
        (false, true) => format!("The process of {id} had died. What it left is cleaned up."),
        (false, false) => format!("{id} has ended before: {}.", word(run.state)),
    };
    app.output.result(
        &text,
        || json!({ "id": id.as_str(), "state": word(run.state), "exit_code": run.exit_code }),
    )
}

/// Signals the process of a run, and waits until its lock is free.
async fn end(app: &App<'_>, state: &StateDir, id: &RunId, how: Stopping) -> Result<()> {
    let directory = state.run(id);
    let pid = RunMetadata::read(&directory)?.pid;
    let Some(owner) = Owner::find(pid, &directory.join("lock"))? else {
        // It may have ended just now.
        return match state.is_alive(id)? {
            false => Ok(()),
            true => Err(CliError::new(format!(
                "{id} is alive, and the process {pid} that is said to have started it is another"
            ))
            .with_hint("it was started elsewhere, perhaps in a container: end it from there")),
        };
    };
    owner.signal(match how {
        Stopping::Ask => Signal::TERM,
        Stopping::Kill => Signal::KILL,
    })?;
    let clock = app.system.clock();
    let freed = async {
        while state.is_alive(id)? {
            clock.sleep(PAUSE).await;
        }
        Ok(())
    };
    let late = async {
        clock.sleep(LIMIT).await;
        let seconds = LIMIT.as_secs();
        Err(CliError::new(format!("{id} was asked to end, and has not within {seconds} seconds"))
            .with_hint(format!("moat stop --force {id}")))
    };
    tokio::select! {
        biased;
        freed = freed => freed,
        late = late => late,
    }
}
