//! `moat run` and `moat AGENT`: from flags and the workspace's file to a sandbox and its exit code.

mod agents;
mod mounts;
mod place;
mod tools;
mod wanted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use moat_provider_core::{Answer, GrantRef};
use moat_run::sandbox::{Running, Sandbox};
use moat_run::{Run, RunError, RunRequest, Runner, StateDir, Stopped};

pub(in crate::command) use self::place::{IMAGE, bubblewrap, engine, runner};
use self::wanted::Wanted;
use super::grant;
use super::resume::has_conversation;
use crate::app::App;
use crate::args::{AgentArgs, GrantArgs, RunArgs, TokenFrom};
use crate::error::{CliError, Code, Result};
use crate::output::line;

/// The exit code of a run that never began; what runners of containers use.
pub(in crate::command) const FAILED: u8 = 125;

/// Runs a command, which may be an agent's own.
pub(super) async fn run(app: &App<'_>, args: RunArgs) -> Result<Code> {
    not_begun(async {
        let wanted = Wanted::of_command(app, args).await?;
        start(app, wanted).await
    })
    .await
}

/// Runs an agent.
pub(super) async fn agent(app: &App<'_>, args: AgentArgs) -> Result<Code> {
    not_begun(async {
        let wanted = Wanted::of_agent(app, args).await?;
        start(app, wanted).await
    })
    .await
}

/// Runs an agent as an earlier run had it, which had these variables.
pub(super) async fn again(app: &App<'_>, args: AgentArgs, variables: &[String]) -> Result<Code> {
    let wanted = Wanted::of_agent(app, args).await?;
    for name in variables.iter().filter(|name| !wanted.sets(name)) {
        app.output.warn(&format!(
            "the variable {0} is not set: values are not kept. To set it again: --env {0}=VALUE",
            line(name)
        ));
    }
    start(app, wanted).await
}

/// Makes a failure before the start of the command one that cannot be taken for the command's own.
pub(super) async fn not_begun(run: impl Future<Output = Result<Code>>) -> Result<Code> {
    run.await.map_err(|error| match error.code() {
        Code::Failure => error.with_code(Code::Passed(FAILED)),
        _ => error,
    })
}

async fn start(app: &App<'_>, wanted: Wanted) -> Result<Code> {
    let sandbox = place::sandbox(app, wanted.sandbox).await?;
    let is_dialogue = wanted.is_dialogue();
    let (registry, request) = wanted.into_request(app, &*sandbox)?;
    let runner = runner(app, registry)?;
    let run = prepare(app, &runner, request).await?;
    tell(app, &run);
    let (code, stopped) = finish(app, run, &*sandbox, is_dialogue).await?;
    report(app, &stopped);
    let state = StateDir::new(app.system.home()?);
    if is_dialogue && has_conversation(&state, &stopped.metadata) {
        app.output.note(&format!("To go on: moat resume {}", stopped.metadata.id));
    }
    Ok(Code::Passed(u8::try_from(code).unwrap_or(FAILED)))
}

/// Prepares a run. Where grants are missing and somebody is there, they are offered first.
pub(in crate::command) async fn prepare(
    app: &App<'_>,
    runner: &Runner,
    request: RunRequest,
) -> Result<Run> {
    let failed = match runner.prepare(request.clone()).await {
        Ok(run) => return Ok(run),
        Err(failed) => failed,
    };
    let missing: Option<Vec<_>> =
        failed.problems().iter().map(|problem| problem.key().cloned()).collect();
    let missing = missing.filter(|keys| !keys.is_empty() && app.system.is_interactive());
    let Some(missing) = missing else { return Err(failed.into()) };
    let terminal = app.system.terminal();
    terminal.tell(failed.message()).await?;
    for key in missing {
        match terminal.confirm(&format!("Grant {key} now?"), Answer::Yes).await? {
            Answer::Yes => {}
            Answer::No => return Err(CliError::from(failed).with_code(Code::Cancelled)),
        }
        let grant: GrantRef = key.to_string().parse()?;
        let args = GrantArgs { grant, options: Vec::new(), token: TokenFrom::Provider };
        grant::acquire(app, args).await?;
    }
    Ok(runner.prepare(request).await?)
}

/// Says what a person should know before the start.
pub(in crate::command) fn tell(app: &App<'_>, run: &Run) {
    for warning in run.warnings() {
        app.output.warn(&line(warning));
    }
    for info in run.grants() {
        let day = time::Duration::days(1);
        if let Some(expiry) = info.expires_at().filter(|expiry| *expiry - app.now() < day) {
            let (key, when) = (info.key(), crate::output::relative(expiry, app.now()));
            app.output.note(&format!("Note: {key} expires {when}."));
        }
    }
}

/// Starts the sandbox, and waits for its end.
///
/// In a dialogue the screen belongs to the agent: what there is to say waits until it is over.
async fn finish(
    app: &App<'_>,
    mut run: Run,
    sandbox: &dyn Sandbox,
    is_dialogue: bool,
) -> Result<(i32, Stopped)> {
    let mut held_back = Vec::new();
    // They are passed on to the command.
    app.system.release_signals();
    let mut running: Running = match sandbox.start(run.spec()).await {
        Ok(running) => running,
        Err(error) => {
            run.stopped(FAILED.into()).await;
            return Err(error.into());
        }
    };
    let ended: Result<i32, RunError> = loop {
        tokio::select! {
            ended = running.wait() => break ended,
            notice = run.notice() => {
                let text = format!("{} ({})", line(&notice.message), line(&notice.hint));
                match is_dialogue {
                    true => held_back.push(text),
                    false => app.output.warn(&text),
                }
            }
        }
    };
    let code = *ended.as_ref().unwrap_or(&i32::from(FAILED));
    let stopped = run.stopped(code).await;
    held_back.iter().for_each(|text| app.output.warn(text));
    Ok((ended?, stopped))
}

/// Says what a person should look at after the end.
fn report(app: &App<'_>, stopped: &Stopped) {
    if stopped.changed.is_empty() {
        return;
    }
    let files = listed(&stopped.changed);
    // Git itself executes what its configuration names, also to show a difference or a page of text.
    let first = stopped
        .changed
        .first()
        .map_or_else(String::new, |path| line(&shell_words::quote(&path.display().to_string())));
    app.output.warn(&format!(
        "the run changed files that programs outside of the sandbox obey: {}. Look at them before you \
         use git or another program in this workspace: cat -v {first}",
        files.join(", ")
    ));
}

/// How many files of one directory are named.
const NAMED: usize = 8;

/// Lists files, of each directory only some: many in one do not hide those in another.
fn listed(files: &[PathBuf]) -> Vec<String> {
    let mut directories: BTreeMap<&Path, Vec<&PathBuf>> = BTreeMap::new();
    for file in files {
        directories.entry(file.parent().unwrap_or(file)).or_default().push(file);
    }
    let mut listed = Vec::new();
    for (directory, files) in directories {
        let named = files.iter().take(NAMED);
        listed.extend(named.map(|file| line(&file.display().to_string())));
        if let Some(more @ 1..) = files.len().checked_sub(NAMED) {
            listed.push(format!("{more} more in {}", line(&directory.display().to_string())));
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_of_one_directory_hide_no_other() {
        let mut files: Vec<PathBuf> =
            (0..500).map(|n| format!(".claude/agents/{n}\u{1b}").into()).collect();
        files.push(".git/hooks/pre-commit".into());
        let listed = listed(&files);
        assert_eq!(listed.len(), NAMED + 2);
        assert_eq!(listed[0], r".claude/agents/0\u{1b}");
        assert_eq!(listed[NAMED..], ["492 more in .claude/agents", ".git/hooks/pre-commit"]);
    }
}
