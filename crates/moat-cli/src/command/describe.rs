//! Credentials as people and programs see them.

use moat_provider_core::{Credential, CredentialInfo, CredentialKey, SecretName};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::output::{moment, relative};

/// Returns what a program learns of a credential: all but the secrets.
pub(super) fn json(info: &CredentialInfo, now: OffsetDateTime) -> Value {
    let mut object = key(info.key());
    let names: Vec<_> = info.secret_names().iter().map(SecretName::as_str).collect();
    object.extend([
        ("scopes".to_owned(), json!(info.scopes())),
        ("granted_at".to_owned(), json!(timestamp(info.created_at()))),
        ("expires_at".to_owned(), json!(info.expires_at().map(timestamp))),
        ("expired".to_owned(), json!(info.is_expired(now))),
        ("refreshed_by".to_owned(), json!(info.refreshed_by())),
        ("metadata".to_owned(), json!(info.all_metadata())),
        ("secrets".to_owned(), json!(names)),
    ]);
    Value::Object(object)
}

/// Returns what a program learns of a key.
pub(super) fn key(key: &CredentialKey) -> Map<String, Value> {
    Map::from_iter([
        ("grant".to_owned(), json!(key.to_string())),
        ("provider".to_owned(), json!(key.provider().as_str())),
        ("qualifier".to_owned(), json!(key.qualifier())),
    ])
}

/// Returns a time as RFC 3339 has it.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// Returns where a token came from.
pub(super) fn source(info: &CredentialInfo) -> &str {
    info.metadata(Credential::TOKEN_SOURCE).unwrap_or_default()
}

/// Returns the end of a sentence about a grant: until when it is good.
pub(super) fn until(info: &CredentialInfo, now: OffsetDateTime) -> String {
    match info.expires_at() {
        Some(expiry) => format!(", good until {} UTC ({})", moment(expiry), relative(expiry, now)),
        None => String::new(),
    }
}

/// Returns the state of a credential in a word or two.
pub(super) fn state(info: &CredentialInfo, now: OffsetDateTime) -> String {
    match (info.is_expired(now), info.refreshed_by()) {
        (true, _) => "expired".to_owned(),
        (false, Some(owner)) => format!("refreshed by {owner}"),
        (false, None) => "ok".to_owned(),
    }
}
