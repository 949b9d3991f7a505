//! `moat grant claim`.

use moat_provider_core::GrantRef;
use serde_json::json;

use super::describe;
use crate::app::App;
use crate::error::Result;

/// Takes a credential over from the program that has refreshed it so far.
pub(super) async fn claim(app: &App<'_>, grant: &GrantRef) -> Result<()> {
    let key = app.key(grant)?;
    let store = app.store()?;
    let before = store.load(&key).await?.credential;
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
