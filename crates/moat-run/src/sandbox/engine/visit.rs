//! Further commands in a container that runs.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use moat_provider_core::RunId;
use tokio::task::spawn_blocking;

use super::arguments::{self, Verb};
use super::{Engine, give_streams, io_failed, terminal};
use crate::sandbox::Signal;
use crate::sandbox::process;
use crate::sandbox::running::{Heard, Running};
use crate::sandbox::streams::Prepared;
use crate::{Result, Stdio};

/// Keys of a terminal, which are for the command alone.
const KEYS: [Signal; 2] = [Signal::Interrupt, Signal::Quit];

impl Engine {
    /// Starts a further command in the container of a run, and waits for its end. It has the
    /// variables, the user and the directory of the run's own command, and a terminal of its own when
    /// this process has one. It ends with the container.
    ///
    /// Returns its exit code; 128 and the number of the signal when one ended it.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::SandboxMissing`](crate::RunErrorKind::SandboxMissing) when the engine is not installed, and
    /// [`SandboxFailed`](crate::RunErrorKind::SandboxFailed) when it cannot be started.
    pub async fn visit(&self, run: &RunId, words: &[String]) -> Result<i32> {
        let (engine, run, words) = (self.clone(), run.clone(), words.to_vec());
        let visitor = spawn_blocking(move || engine.visitor(&run, words)).await;
        let (command, streams) = visitor.map_err(io::Error::other).map_err(io_failed)??;
        let heard = Heard::of(&KEYS).map_err(io_failed)?;
        let process = process::start(command, None).await.map_err(io_failed)?;
        let mut running = Running::new(process).survive_signals(heard);
        if let Some(streams) = streams {
            running = running.streams(streams.begin().map_err(io_failed)?);
        }
        running.wait().await
    }

    /// Prepares the client; blocks.
    fn visitor(&self, run: &RunId, words: Vec<String>) -> Result<(Command, Option<Prepared>)> {
        let program = self.find().ok_or_else(|| self.lacks_one(&self.absent()))?;
        let is_inherited = terminal::is_here();
        let mut arguments: Vec<OsString> = vec!["exec".into(), "--interactive".into()];
        if is_inherited {
            arguments.extend(arguments::terminal(self.kind, Verb::Exec));
        }
        arguments.extend(["--".into(), self.kind.container(run).into()]);
        arguments.extend(words.into_iter().map(OsString::from));
        let mut command = self.command(&program);
        command.args(arguments);
        let streams = give_streams(&mut command, Stdio::Inherit, is_inherited);
        Ok((command, streams.map_err(io_failed)?))
    }
}
