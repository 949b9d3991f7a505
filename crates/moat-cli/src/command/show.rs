//! `moat grant show`.

use moat_provider_core::{GrantRef, SecretName};
use serde_json::json;

use super::describe;
use crate::app::App;
use crate::error::Result;
use crate::output::{fields, moment, relative};

/// Shows all about a credential but its secrets.
pub(super) async fn show(app: &App<'_>, grant: &GrantRef) -> Result<()> {
    let key = app.stored_key(grant)?;
    let stored = app.store()?.load(&key).await?;
    let (info, now) = (stored.credential.info(), app.now());
    let time = |at| format!("{} UTC ({})", moment(at), relative(at, now));
    let names: Vec<_> = info.secret_names().iter().map(SecretName::as_str).collect();
    let mut lines = vec![
        ("grant", key.to_string()),
        ("state", describe::state(info, now)),
        ("granted", time(info.created_at())),
        ("expires", info.expires_at().map_or_else(|| "not known, or never".to_owned(), time)),
        ("secrets", names.join(", ")),
    ];
    if !info.scopes().is_empty() {
        lines.push(("scopes", info.scopes().join(" ")));
    }
    for (name, value) in info.all_metadata() {
        lines.push((name.as_str(), value.clone()));
    }
    app.output.result(&fields(lines), || json!({ "grant": describe::json(info, now) }))
}
