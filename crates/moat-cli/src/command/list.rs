//! `moat grant list`.

use moat_store::{Entry, StoreErrorKind};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::describe;
use crate::app::App;
use crate::error::Result;
use crate::output::{Table, relative};

/// Lists what is stored, also what cannot be read.
pub(super) async fn list(app: &App<'_>) -> Result<()> {
    let (entries, now) = (app.store()?.list().await?, app.now());
    if entries.is_empty() {
        app.output.note("Nothing is granted yet. What can be: moat grant providers");
    }
    app.output.result(
        &text(&entries, now),
        || json!({ "grants": entries.iter().map(|entry| object(entry, now)).collect::<Vec<_>>() }),
    )
}

fn text(entries: &[Entry], now: OffsetDateTime) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["GRANT", "STATE", "SOURCE", "GRANTED", "EXPIRES"]);
    for Entry { key, info } in entries {
        let key = key.to_string();
        match info {
            Ok(info) => table.row([
                key,
                describe::state(info, now),
                describe::source(info).to_owned(),
                relative(info.created_at(), now),
                info.expires_at().map(|expiry| relative(expiry, now)).unwrap_or_default(),
            ]),
            Err(error) => table.row([key, error.message().to_owned()]),
        }
    }
    table.render()
}

fn object(entry: &Entry, now: OffsetDateTime) -> Value {
    match &entry.info {
        Ok(info) => describe::json(info, now),
        Err(error) => {
            let mut object = describe::key(&entry.key);
            object.insert("error".to_owned(), json!(code(error.kind())));
            object.insert("message".to_owned(), json!(error.message()));
            Value::Object(object)
        }
    }
}

/// Returns the stable name of what is wrong with a record.
fn code(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::CannotDecrypt => "cannot-decrypt",
        StoreErrorKind::Damaged => "damaged",
        StoreErrorKind::NotPermitted => "not-permitted",
        _ => "unreadable",
    }
}
