//! `moat stop`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use moat_run::{RunMetadata, StateDir};
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::json;

use super::run::place;
use super::runs;
use crate::app::App;
use crate::args::StopArgs;
use crate::error::{CliError, Result};

/// How long a run may take to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(50);

/// Ends a run: its command is asked to, and what belongs to the run is undone as at any end.
pub(super) async fn stop(app: &App<'_>, args: &StopArgs) -> Result<()> {
    let state = StateDir::new(app.system.home()?);
    let id = runs::find(app, &state, Some(&args.run))?;
    if !state.is_alive(&id)? {
        place::runner(app, app.registry.clone())?.clean_up().await;
        return app
            .output
            .result(&format!("{id} has ended already."), || json!({"stopped": id.as_str()}));
    }
    let pid = process(&RunMetadata::read(&state.run(&id))?)?;
    let signal = if args.force { Signal::KILL } else { Signal::TERM };
    kill_process(pid, signal).map_err(|error| {
        CliError::new(format!("the process of {id} cannot be signalled")).with_source(&error)
    })?;
    let mut waited = Duration::ZERO;
    while state.is_alive(&id)? {
        if waited >= PATIENCE {
            return Err(CliError::new(format!("{id} does not end"))
                .with_hint(format!("moat stop --force {id}")));
        }
        app.system.clock().sleep(GLANCE).await;
        waited += GLANCE;
    }
    // What was killed could not clean up behind itself.
    place::runner(app, app.registry.clone())?.clean_up().await;
    app.output.result(&format!("Stopped {id}."), || json!({ "stopped": id.as_str() }))
}

/// Returns the process of a run, if it is one of this program and this user: numbers of processes
/// are used again.
fn process(run: &RunMetadata) -> Result<Pid> {
    let gone = || {
        CliError::new(format!("the process of {} is not one of moat's", run.id))
            .with_hint("moat runs")
    };
    let pid = i32::try_from(run.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    let entry = PathBuf::from(format!("/proc/{}", run.pid));
    if Path::new("/proc/self").exists() {
        let owner = fs::metadata(&entry).map_err(|_| gone())?.uid();
        let name = fs::read_to_string(entry.join("comm")).unwrap_or_default();
        if owner != getuid().as_raw() || !name.trim().starts_with("moat") {
            return Err(gone());
        }
    }
    Ok(pid)
}
