//! Programs of the person's own that the sandbox is shown.

use std::ffi::OsStr;
use std::path::PathBuf;

use moat_provider_core::{EnvVar, MountAccess};
use moat_run::RunRequest;
use moat_run::sandbox::{INSTALLED, Installed};

use super::wanted::person_home;
use crate::app::{App, plain_variable};
use crate::error::{CliError, Result};

/// Shows the programs that were named, and that of the agent, where they are not the system's.
///
/// # Errors
///
/// When a program that was named is nowhere.
pub(super) fn show(
    app: &App<'_>,
    request: &mut RunRequest,
    named: &[String],
    agent: Option<&str>,
) -> Result<()> {
    let path = plain_variable(&*app.system.environment(), "PATH")?.unwrap_or_default();
    let home = person_home(app);
    let foreign = writable(request);
    let mut installed: Vec<Installed> = Vec::new();
    for name in named.iter().map(String::as_str).chain(agent) {
        let found = Installed::find(name, OsStr::new(&path), home.as_deref(), &foreign);
        if found.is_empty() && agent != Some(name) && !is_anywhere(&path, name, &foreign) {
            return Err(CliError::usage(format!("--tool {name}: it is not in your PATH"))
                .with_hint("name a program outside of the workspace, or show a directory: --mount /path:/path"));
        }
        for program in found {
            if !installed.iter().any(|known| known.name() == program.name()) {
                installed.push(program);
            }
        }
    }
    if installed.is_empty() {
        return Ok(());
    }
    for program in &installed {
        request.files.push(program.starter()?);
        for bind in program.binds()? {
            if !request.binds.contains(&bind) {
                request.binds.push(bind);
            }
        }
        if agent == Some(program.name()) {
            let shown: Vec<_> = program.shown().iter().map(|it| it.display().to_string()).collect();
            let shown = crate::output::line(&shown.join(", "));
            let name = program.name();
            app.output.note(&format!("Note: {name} comes from {shown}, which the sandbox reads."));
        }
    }
    for var in request.ambient.iter_mut().filter(|var| var.name() == "PATH") {
        *var = EnvVar::new("PATH", format!("{INSTALLED}:{}", var.value()))?;
    }
    Ok(())
}

/// Returns the directories of the host that the sandbox can write to.
fn writable(request: &RunRequest) -> Vec<PathBuf> {
    let binds = request.binds.iter().filter(|bind| bind.access == MountAccess::ReadWrite);
    let binds = binds.map(|bind| bind.source.clone());
    std::iter::once(request.workspace.clone()).chain(binds).collect()
}

fn is_anywhere(path: &str, name: &str, foreign: &[PathBuf]) -> bool {
    std::env::split_paths(path).any(|directory| {
        let program = directory.join(name).canonicalize();
        let is_own = |path: &PathBuf| !foreign.iter().any(|foreign| path.starts_with(foreign));
        directory.is_absolute() && program.is_ok_and(|path| path.is_file() && is_own(&path))
    })
}
