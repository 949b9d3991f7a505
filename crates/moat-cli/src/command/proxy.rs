//! `moat proxy`: a run without a sandbox of ours, for one of the person's own.

use moat_run::{Place, RunRequest};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::run::{place, prepare, tell};
use crate::app::App;
use crate::args::{ExportForm, ProxyArgs};
use crate::error::{CliError, Result};
use crate::output::line;

/// Variables of a run that a sandbox of somebody else's has its own idea of.
const NOT_EXPORTED: [&str; 2] = ["HOME", "PATH"];

/// Serves grants until it is interrupted, and says what a client needs.
pub(super) async fn proxy(app: &App<'_>, args: &ProxyArgs) -> Result<()> {
    let failed =
        |error: std::io::Error| CliError::new("signals cannot be waited for").with_source(&error);
    // Before anything is said: whoever reads it may end this at once.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut request = RunRequest::new(app.workspace(args.workspace.as_deref())?, Vec::new());
    request.place = Place::Host;
    request.grants.clone_from(&args.grants);
    request.defaults.clone_from(&args.network.defaults);
    request.policy = args.network.policy()?;
    request.no_proxy.clone_from(&args.no_proxy);
    request.sandbox_name = Some("your own".to_owned());
    let runner = place::runner(app, app.registry.clone())?;
    let mut run = prepare(app, &runner, request).await?;
    tell(app, &run);
    let env = run.spec().env.iter().filter(|var| !NOT_EXPORTED.contains(&var.name()));
    let env: Vec<_> = env.map(|var| (var.name(), var.value())).collect();
    let text: String = env.iter().map(|(name, value)| export(args.form, name, value)).collect();
    app.output.result(&text, || {
        let env: Map<_, _> =
            env.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        json!({ "run": run.id().as_str(), "env": env })
    })?;
    app.output.note(&format!(
        "Serving the run {} until Ctrl-C. The URL of the proxy holds its token: who has it can use \
         the grants.",
        run.id()
    ));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            notice = run.notice() => {
                app.output.warn(&format!("{} ({})", line(&notice.message), line(&notice.hint)));
            }
        }
    }
    run.stopped(0).await;
    Ok(())
}

fn export(form: ExportForm, name: &str, value: &str) -> String {
    match form {
        ExportForm::Shell => format!("export {name}={}\n", shell_words::quote(value)),
        ExportForm::Dotenv => format!("{name}={}\n", Value::from(value)),
    }
}
