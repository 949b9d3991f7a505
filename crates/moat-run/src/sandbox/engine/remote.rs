//! Signals for what is in a container.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Engine;
use crate::sandbox::Signal;
use crate::sandbox::running::Remote;

/// How often a container is looked for that a signal is for, and after which pauses: an engine takes a
/// second or two to start one.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The engine's program as the way to a container.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) engine: Engine,
    pub(super) program: PathBuf,
    pub(super) container: String,
    /// Whether the bridge was there.
    pub(super) arrived: Arc<AtomicBool>,
}

impl Remote for Client {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut command = self.engine.command(&self.program);
        match signal {
            Signal::Kill => command.args(["rm", "--force"]),
            signal => command.args(["kill", "--signal", signal.name()]),
        };
        command.arg(&self.container);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let thread = thread::Builder::new().name("moat-engine".into());
        if signal == Signal::Kill {
            // It is under way when this returns: this process may be about to end.
            let mut child = command.spawn()?;
            thread.spawn(move || child.wait())?;
        } else {
            let arrived = Arc::clone(&self.arrived);
            thread.spawn(move || tell(&mut command, &arrived))?;
        }
        Ok(())
    }
}

/// Runs a program until it succeeds, after the bridge was there: nothing hears a signal before that.
fn tell(command: &mut Command, arrived: &AtomicBool) {
    for _ in 0..TRIES {
        if arrived.load(Ordering::Relaxed) {
            match command.status() {
                Ok(status) if status.success() => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the program of an engine does not start");
                    return;
                }
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own waits for an engine, which no fake clock moves"
        )]
        thread::sleep(PAUSE);
    }
}
