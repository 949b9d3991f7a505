//! `moat import`.

use moat_provider_core::{CredentialRecord, GrantRef, Registry, Result as CoreResult};
use moat_store::{Existing, Outcome};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::ImportArgs;
use crate::error::{Code, Result};
use crate::output::Table;

/// Copies the credentials of an earlier moat.
pub(super) async fn import(app: &App<'_>, args: &ImportArgs) -> Result<Code> {
    let from = app.system.go_store(args.from.as_deref(), &app.globals)?;
    let store = app.store()?;
    let registry = &app.registry;
    let upgrade = |record: &mut CredentialRecord| upgrade(registry, record);
    let existing = if args.replace { Existing::Replace } else { Existing::Keep };
    let report = moat_store::import(&from, &*store, &upgrade, existing).await?;
    let (mut table, mut objects) = (Table::new(["GRANT", "RESULT"]), Vec::new());
    let mut code = Code::Success;
    for record in report.records() {
        let (name, result, detail) = match record.outcome() {
            Outcome::Copied(key) => (key.to_string(), "copied", String::new()),
            Outcome::CopiedUnclaimed(key) if args.claim => {
                moat_store::claim(&*store, key).await?;
                (key.to_string(), "copied", String::new())
            }
            Outcome::CopiedUnclaimed(key) => (
                key.to_string(),
                "copied",
                "the earlier moat goes on refreshing it; when it is not used any more: moat import --replace --claim".to_owned(),
            ),
            Outcome::Kept(key) => {
                (key.to_string(), "kept", "it is here already; see --replace".to_owned())
            }
            Outcome::Failed(error) => {
                code = Code::Failure;
                let hint = error.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
                (record.name().to_owned(), "failed", format!("{}{hint}", error.message()))
            }
            _ => (record.name().to_owned(), "unknown", String::new()),
        };
        let said =
            if detail.is_empty() { result.to_owned() } else { format!("{result}: {detail}") };
        table.row([&name, &said]);
        objects.push(json!({ "grant": name, "result": result, "detail": detail }));
    }
    if objects.is_empty() {
        app.output.note("There is nothing to import.");
    }
    let text = if objects.is_empty() { String::new() } else { table.render() };
    app.output.result(&text, || json!({ "imported": Value::Array(objects) }))?;
    Ok(code)
}

/// Brings a record to the form of today: under the provider's own name, and as that likes it.
fn upgrade(registry: &Registry, record: &mut CredentialRecord) -> CoreResult<()> {
    let Ok(grant) = record.provider().parse::<GrantRef>() else { return Ok(()) };
    let Ok(key) = registry.resolve(&grant) else { return Ok(()) };
    record.set_provider(&key);
    match registry.require(grant.name())?.as_credential() {
        Some(provider) => provider.upgrade_record(record),
        None => Ok(()),
    }
}
