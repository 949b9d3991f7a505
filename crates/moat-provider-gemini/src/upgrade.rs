//! Records of earlier versions.

use moat_provider_core::{Credential, CredentialRecord, Result};

use crate::grant::FROM_IMPORT;
use crate::kind::{AUTH_TYPE, rejoined};

/// Takes a record of the Go moat, which kept the refresh token of Gemini CLI's own login among the
/// metadata. It belongs to that program: it is dropped, and the login followed.
///
/// # Errors
///
/// None.
pub(crate) fn upgrade(record: &mut CredentialRecord) -> Result<()> {
    let token = rejoined(record.token());
    record.set_token(token);
    let is_old = record.metadata_mut().remove("refresh_token").is_some();
    if is_old && record.metadata().get(AUTH_TYPE).is_some_and(|kind| kind == "oauth") {
        let metadata = record.metadata_mut();
        metadata.insert(Credential::TOKEN_SOURCE.to_owned(), FROM_IMPORT.to_owned());
    }
    Ok(())
}
