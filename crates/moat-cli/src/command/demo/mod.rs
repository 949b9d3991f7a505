//! `moat demo`: a run from grant to request, on loopback, with a vendor of its own.
//!
//! Nothing is played: the provider, the store, the proxy and the sandbox are those of every run.

mod client;
mod findings;
mod search;
mod stage;
mod vendor;

use std::sync::Arc;

use moat_run::sandbox::{Sandbox, UNCONFINED_WARNING, Unconfined, detect};

pub(super) use self::client::client;
use self::findings::Findings;
use self::stage::Stage;
use super::run::bubblewrap;
use crate::app::App;
use crate::error::{CliError, Code, Result};

/// Shows the tour.
pub(super) async fn demo(app: &App<'_>) -> Result<Code> {
    let stage = Stage::set(app).await?;
    app.output.note(
        "An API on loopback that behaves like GitHub's takes one made-up token.\nIt was granted: \
         checked with the API, and kept encrypted.",
    );
    let sandbox = sandbox(app).await;
    let findings = Findings {
        granted: stage.run(&*sandbox, &["github"]).await?,
        ungranted: stage.run(&*sandbox, &[]).await?,
        sandbox: sandbox.name(),
        token: stage.token(),
    };
    app.output.result(&findings.text(app.output.paint()), || findings.json())?;
    Ok(if findings.problems().is_empty() { Code::Success } else { Code::Failure })
}

/// Returns a sandbox that works here; or none, and says what that does not protect.
async fn sandbox(app: &App<'_>) -> Arc<dyn Sandbox> {
    let found = match bubblewrap(app) {
        Ok(bubblewrap) => detect(bubblewrap, Vec::new()).await.map_err(CliError::from),
        Err(error) => Err(error),
    };
    found.unwrap_or_else(|error| {
        app.output.warn(UNCONFINED_WARNING);
        app.output.warn(&format!("{}: {}", error.message(), error.hint().unwrap_or_default()));
        Arc::new(Unconfined::new())
    })
}
