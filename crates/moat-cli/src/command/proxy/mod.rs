//! `moat proxy`: serves a sandbox that somebody else starts.

mod exports;

use moat_run::{Place, Run, RunRequest, Stopped};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::run::{prepare, runner, tell};
use crate::app::App;
use crate::args::{Entrance, ProxyArgs};
use crate::error::{CliError, Code, Result};
use crate::output::line;

/// What `metadata.json` says of the sandbox: somebody else's.
pub(super) const SANDBOX: &str = "proxy";

/// Serves until it is told to end.
pub(super) async fn proxy(app: &App<'_>, args: ProxyArgs) -> Result<Code> {
    let mut request = RunRequest::new(app.workspace(args.workspace.as_deref())?, Vec::new());
    request.grants = args.grants;
    request.policy = args.network.policy()?;
    request.defaults = args.network.defaults;
    request.no_proxy = args.no_proxy;
    request.sandbox_name = Some(SANDBOX.to_owned());
    if let Entrance::Port(port) = args.entrance {
        request.place = Place::Host;
        request.port = port;
    }
    // From here on a signal ends the run, and not this process in the middle of it.
    let mut signals = Signals::new()?;
    app.system.release_signals();
    let runner = runner(app, app.registry.clone())?;
    let mut run = tokio::select! {
        biased;
        () = signals.next() => return Ok(Code::Cancelled),
        run = prepare(app, &runner, request) => run?,
    };
    tell(app, &run);
    let told = exports::print(app, &run, &runner.state().run(run.id()).join("stage"), args.exports);
    if told.is_ok() {
        app.output.note(&format!("Serving {} until Ctrl-C.", run.id()));
        serve(app, &mut run, &mut signals).await;
    }
    tokio::select! {
        biased;
        stopped = run.stopped(0) => report(app, &stopped),
        // Somebody does not want to wait for vendors.
        () = signals.next() => return Ok(Code::Cancelled),
    }
    told.map(|()| Code::Success)
}

/// Shows what a person should hear, until a signal comes.
async fn serve(app: &App<'_>, run: &mut Run, signals: &mut Signals) {
    loop {
        tokio::select! {
            () = signals.next() => return,
            notice = run.notice() => {
                app.output.warn(&format!("{} ({})", line(&notice.message), line(&notice.hint)));
            }
        }
    }
}

/// Says what a person should look at after the end.
fn report(app: &App<'_>, stopped: &Stopped) {
    if !stopped.changed.is_empty() {
        let files = stopped.changed.iter().map(|path| line(&path.display().to_string()));
        app.output.warn(&format!(
            "meanwhile files changed that programs outside of the sandbox obey: {}. If that was not \
             you, look at them before you use this workspace",
            files.collect::<Vec<_>>().join(", ")
        ));
    }
    app.output.note(&format!("Stopped {}.", stopped.metadata.id));
}

/// The signals that end a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| CliError::new("signals cannot be waited for").with_source(&error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
