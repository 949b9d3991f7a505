//! `moat resume`: the conversation of an earlier run, in a new one.

use std::fs;
use std::path::Path;

use moat_run::{RunMetadata, StateDir};

use super::{run, runs};
use crate::app::App;
use crate::args::{Earlier, Globals, ResumeArgs};
use crate::error::{CliError, Code, Result};
use crate::output::line;

/// Goes on where an earlier run ended, with the profile that it had.
pub(super) async fn resume(app: &App<'_>, args: ResumeArgs) -> Result<Code> {
    run::not_begun(Box::pin(go_on(app, args))).await
}

async fn go_on(app: &App<'_>, args: ResumeArgs) -> Result<Code> {
    let state = StateDir::new(app.system.home()?);
    let workspace = app.workspace(args.workspace.as_deref())?;
    let earlier = match &args.run {
        Some(wanted) => {
            let id = runs::find(app, &state, Some(wanted))?;
            named(RunMetadata::read(&state.run(&id))?, &workspace)?
        }
        None => latest(app, &state, &workspace)?,
    };
    let (agent, session) = conversation(&earlier)?;
    if state.is_alive(&earlier.id)? {
        return Err(CliError::new(format!("{} is still running", earlier.id))
            .with_hint(format!("moat stop {}", earlier.id)));
    }
    if !has_conversation(&state, &earlier) {
        return Err(CliError::new(format!("nothing was said in {}", earlier.id))
            .with_hint(format!("moat {} --continue", line(agent))));
    }
    let (profile, flags) = apart(&earlier.options);
    let app = App {
        registry: app.registry.clone(),
        globals: Globals { profile, ..app.globals.clone() },
        output: app.output,
        system: app.system,
    };
    let grants = &earlier.grants;
    let args = args.into_agent(&app.registry, Earlier { agent, session, grants, flags })?;
    run::again(&app, args, &earlier.variables).await
}

/// Takes a run that the person named, if it was in this workspace: its conversation is about that
/// place, and is kept for it.
fn named(run: RunMetadata, workspace: &Path) -> Result<RunMetadata> {
    if Path::new(&run.workspace) == workspace {
        return Ok(run);
    }
    let quoted = shell_words::quote(&run.workspace);
    let (id, place) = (&run.id, line(&run.workspace));
    Err(CliError::new(format!("{id} was in another workspace, {place}"))
        .with_hint(format!("cd {} && moat resume {id}", line(&quoted))))
}

/// Returns the latest run of a workspace that has ended and has a conversation.
fn latest(app: &App<'_>, state: &StateDir, workspace: &Path) -> Result<RunMetadata> {
    for run in runs::all(app, state)? {
        let is_ours = Path::new(&run.workspace) == workspace && has_conversation(state, &run);
        if is_ours && !state.is_alive(&run.id)? {
            return Ok(run);
        }
    }
    let workspace = line(&workspace.display().to_string());
    Err(CliError::new(format!("no run in {workspace} has left a conversation"))
        .with_hint("moat runs"))
}

/// Whether something was said in a run, as far as that can be seen: its conversation has an id, and
/// what the host keeps of conversations in the workspace, if that is anything, has that id among it.
pub(super) fn has_conversation(state: &StateDir, run: &RunMetadata) -> bool {
    let (Some(agent), Some(session)) = (&run.agent, run.session()) else { return false };
    // The name that `moat_agent::SessionStore` gives to it.
    let kept = state.of_workspace(Path::new(&run.workspace), &format!("{agent}-sessions"));
    let mut names = kept.map(|kept| names(&kept)).unwrap_or_default().into_iter().peekable();
    names.peek().is_none() || names.any(|name| name.contains(session))
}

/// Returns the names of the files in a directory and below. The sandbox writes there, so links are
/// not followed and nothing is opened but directories, up to a bound (law L17).
fn names(directory: &Path) -> Vec<String> {
    const DEEPEST: usize = 3;
    const MOST: usize = 100_000;
    let (mut found, mut directories) = (Vec::new(), vec![(directory.to_owned(), 1)]);
    while let Some((directory, depth)) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_directory {
                found.push(entry.file_name().to_string_lossy().into_owned());
            } else if depth < DEEPEST {
                directories.push((entry.path(), depth + 1));
            }
            if found.len() + directories.len() >= MOST {
                return found;
            }
        }
    }
    found
}

/// Returns the agent of a run and the id of its conversation.
fn conversation(run: &RunMetadata) -> Result<(&str, &str)> {
    let Some(agent) = &run.agent else {
        return Err(CliError::new(format!("{} was a command, and no agent's", run.id))
            .with_hint("moat runs"));
    };
    run.session().map(|session| (agent.as_str(), session)).ok_or_else(|| {
        CliError::new(format!("it is not known which conversation {} had", run.id))
            .with_hint(format!("moat {} --continue", line(agent)))
    })
}

/// What precedes the name of a profile among the options of a run.
const PROFILE: &str = "--profile=";

/// Returns what a run keeps for the one that resumes it: its flags, behind its profile.
pub(super) fn options(app: &App<'_>, flags: Vec<String>) -> Vec<String> {
    let profile = app.globals.profile.iter().map(|profile| format!("{PROFILE}{profile}"));
    profile.chain(flags).collect()
}

/// Takes the options of a run apart again.
fn apart(options: &[String]) -> (Option<String>, &[String]) {
    match options {
        [first, flags @ ..] if first.starts_with(PROFILE) => {
            (first.strip_prefix(PROFILE).map(str::to_owned), flags)
        }
        flags => (None, flags),
    }
}
