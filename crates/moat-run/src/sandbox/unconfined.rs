//! No sandbox at all, for debugging.

use std::io::IsTerminal;
use std::process::Command;

use moat_provider_core::BoxFuture;

use super::running::Heard;
use super::{Missing, Running, Sandbox, Signal, WayKind, process, streams};
use crate::{ContainerSpec, Result, RunError, RunErrorKind, Stdio, Way};

/// What a person is told who runs without a sandbox.
pub const UNCONFINED_WARNING: &str = "\
no sandbox: the command runs as you. It has none of the secrets of the grants in its environment, \
but it can read your files, keys and keyrings, and reach the network without the proxy.";

/// Starts commands on the host itself, with the environment of the description and nothing else
/// done.
///
/// It shows nothing anywhere: every bind of the description has to have one path on both sides.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Unconfined;

impl Unconfined {
    /// Makes it.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Sandbox for Unconfined {
    fn name(&self) -> &'static str {
        "none"
    }

    fn way(&self) -> WayKind {
        WayKind::Port
    }

    fn missing(&self) -> BoxFuture<'_, Vec<Missing>> {
        Box::pin(async { Vec::new() })
    }

    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Running>> {
        Box::pin(start(spec))
    }
}

async fn start(spec: &ContainerSpec) -> Result<Running> {
    let refused = |message: String| RunError::new(RunErrorKind::InvalidInput, message);
    if !matches!(spec.way, Way::Port(_)) {
        return Err(refused("without a sandbox the way to the proxy is a port".into()));
    }
    let moved = |bind: &&crate::Bind| bind.source.as_os_str() != bind.target.as_str();
    if let Some(bind) = spec.binds.iter().find(moved) {
        let (source, target) = (bind.source.display(), &bind.target);
        return Err(refused(format!("without a sandbox {source} cannot appear at {target}")));
    }
    if let Some((host, inside)) = spec.publish.iter().find(|(host, inside)| host != inside) {
        return Err(refused(format!("without a sandbox port {inside} cannot appear as {host}")));
    }
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(refused("there is no command".into()));
    };
    let program = match spec.env.iter().find(|var| var.name() == "PATH") {
        Some(path) if !program.contains('/') => {
            let mut places = std::env::split_paths(path.value()).map(|place| place.join(program));
            places.find(|place| place.is_file()).unwrap_or_else(|| program.into())
        }
        _ => program.into(),
    };
    #[expect(clippy::disallowed_methods, reason = "to start the command is what this is for")]
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(spec.workdir.as_str());
    command.envs(spec.env.iter().map(|var| (var.name(), var.value())));
    let failed = |error: std::io::Error| {
        RunError::new(RunErrorKind::SandboxFailed, format!("the command did not start: {error}"))
            .with_source(error)
    };
    let prepared = match spec.stdio {
        Stdio::Captured => {
            let (standard, prepared) = streams::prepare(spec.stdio).map_err(failed)?;
            standard.give_to(&mut command);
            Some(prepared)
        }
        // It is the person's own command on their own terminal.
        Stdio::Inherit => None,
    };
    let heard = match spec.stdio {
        Stdio::Captured => None,
        Stdio::Inherit => Some(hear().map_err(failed)?),
    };
    let mut running = Running::new(process::start(command, None).await.map_err(failed)?);
    if let Some(prepared) = prepared {
        running = running.streams(prepared.begin().map_err(failed)?);
    }
    if let Some((passed, survived)) = heard {
        running = running.pass_signals(passed).survive_signals(survived);
    }
    Ok(running)
}

/// Returns the signals that the command would not get otherwise, and those that it gets by itself:
/// the keys of a terminal. This process only has to survive these, to come to its end behind the
/// command.
fn hear() -> std::io::Result<(Heard, Heard)> {
    let (keys, others) = ([Signal::Interrupt, Signal::Quit], [Signal::Terminate, Signal::Hangup]);
    match std::io::stdin().is_terminal() {
        true => Ok((Heard::of(&others)?, Heard::of(&keys)?)),
        false => Ok((Heard::of(&[keys, others].concat())?, Heard::of(&[])?)),
    }
}
