//! `moat grant claim`.

use moat_provider_core::GrantRef;
use serde_json::json;

use super::describe;
use crate::app::App;
use crate::error::{CliError, Result};

/// Takes a credential over from the program that has refreshed it so far.
pub(super) async fn claim(app: &App<'_>, grant: &GrantRef) -> Result<()> {
    let key = app.key(grant)?;
    let store = app.store()?;
    let before = store.load(&key).await?.credential;
    let provider = app.registry.require(key.provider().as_str())?;
    if !provider.as_refreshable().is_some_and(|provider| provider.can_refresh(before.info())) {
        return Err(CliError::new(format!(
            "{key} cannot be refreshed here, so there is nothing to claim"
        ))
        .with_hint(format!("moat grant {key}")));
    }
    moat_store::claim(&*store, &key).await?;
    let owner = before.info().refreshed_by();
    let until = describe::until(before.info(), app.now());
    let text = match owner {
        Some(owner) => {
            let owner = crate::output::line(owner);
            format!("{key} is refreshed here from now on{until}. Do not use {owner} with it again.")
        }
        None => format!("{key} was refreshed here already{until}."),
    };
    app.output.result(&text, || json!({ "claimed": key.to_string(), "from": owner }))
}
