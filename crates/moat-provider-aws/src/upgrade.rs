//! Records of the Go moat: the role's ARN was the token, and the rest stood in metadata or scopes.

use moat_provider_core::{Credential, CredentialKey, CredentialRecord, Result, Secret};
use serde_json::Value;

use crate::arn::RoleArn;
use crate::duration::SessionDuration;
use crate::settings::{DURATION, EXTERNAL_ID, MODE, PROFILE, REGION, ROLE};
use crate::source::{FROM_PROFILE, no_token};

/// What the Go moat took where no duration was stored.
const GO_DURATION: &str = "15m";

/// Moves the ARN into the metadata.
///
/// The Go moat took whatever keys its daemon found; where it named no profile, the default one
/// takes their place.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when role or duration
/// makes no sense.
pub(crate) fn upgrade(record: &mut CredentialRecord) -> Result<()> {
    if record.metadata().contains_key(ROLE) {
        return Ok(());
    }
    let key: CredentialKey = record.provider().parse()?;
    let role = RoleArn::parse(arn(record.token()))?;
    let scopes = scopes(record);
    let metadata = record.metadata_mut();
    for (entry, scope) in [REGION, DURATION, EXTERNAL_ID].into_iter().zip(scopes) {
        if !scope.is_empty() {
            metadata.entry(entry.to_owned()).or_insert(scope);
        }
    }
    let fits = |region: &mut String| role.partition().has_region(region);
    if !metadata.get_mut(REGION).is_some_and(fits) {
        metadata.insert(REGION.to_owned(), role.partition().default_region.to_owned());
    }
    let duration = metadata.get(DURATION).map_or(GO_DURATION, String::as_str);
    let duration = SessionDuration::parse(duration)?.to_string();
    metadata.insert(DURATION.to_owned(), duration);
    for (entry, value) in
        [(Credential::TOKEN_SOURCE, FROM_PROFILE), (PROFILE, "default"), (MODE, "signing")]
    {
        metadata.entry(entry.to_owned()).or_insert_with(|| value.to_owned());
    }
    metadata.insert(ROLE.to_owned(), role.to_string());
    record.set_token(no_token(&key, &role));
    Ok(())
}

/// Reads the scopes, in which the oldest records kept region, duration and external id.
fn scopes(record: &CredentialRecord) -> Vec<String> {
    let json = serde_json::to_value(record).unwrap_or_default();
    let scopes = json.get("scopes").and_then(Value::as_array).into_iter().flatten();
    scopes.map(|scope| scope.as_str().unwrap_or_default().to_owned()).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the token of these records is an ARN, and no secret"
)]
fn arn(token: &Secret) -> &str {
    token.expose()
}
