//! `moat grant refresh`.

use moat_provider_core::GrantRef;
use moat_refresh::{Problem, Refresher};
use serde_json::json;

use super::describe;
use crate::app::App;
use crate::error::{CliError, Result};

/// Renews a credential now, whether it is due or not.
pub(super) async fn refresh(app: &App<'_>, grant: &GrantRef) -> Result<()> {
    let key = app.key(grant)?;
    let refresher = Refresher::new(app.registry.clone(), app.store()?, app.host()?);
    let watched = refresher.watch(&key).await.map_err(failed)?;
    let before = watched.snapshot();
    let provider = app.registry.require(key.provider().as_str())?.as_refreshable();
    let info = before.info();
    if let Some(owner) = info.and_then(|info| info.refreshed_by()) {
        return Err(CliError::new(format!("{key} is a copy of a login that {owner} refreshes"))
            .with_hint(format!("moat grant {key}")));
    }
    if !provider.zip(info).is_some_and(|(provider, info)| provider.can_refresh(info)) {
        return Err(CliError::new(format!("{key} cannot be renewed: it stays as it was granted"))
            .with_hint(format!("moat grant {key}")));
    }
    if let Some(generation) = before.generation() {
        // As if the vendor had refused it: the way to renew what is not due.
        refresher.rejected(&key, generation);
    }
    let stored = watched.ensure_fresh().await.map_err(failed)?;
    if let Some(problem) = watched.snapshot().state().problem() {
        return Err(failed(problem.clone()));
    }
    let is_renewed = before.generation() != Some(stored.generation);
    let (info, now) = (stored.credential.info(), app.now());
    let done = if is_renewed { "Renewed" } else { "Nothing newer is to be had for" };
    app.output.result(
        &format!("{done} {key}{}.", describe::until(info, now)),
        || json!({ "renewed": is_renewed, "credential": describe::json(info, now) }),
    )?;
    drop(watched);
    // What could not be saved was told of above.
    _ = refresher.shut_down().await;
    Ok(())
}

fn failed(problem: Problem) -> CliError {
    CliError::new(problem.message()).with_hint(problem.hint())
}
