//! Records of earlier versions.

use moat_provider_core::{CredentialRecord, Result};

use crate::token::{Kind, rejoined};

/// Takes a record of the Go moat, which kept what was pasted as it was, and looked at its prefix
/// alone.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the record holds
/// the other provider's kind of credential, with the command that grants it.
pub(crate) fn upgrade(kind: Kind, record: &mut CredentialRecord) -> Result<()> {
    let token = rejoined(record.token());
    kind.check_form(&token, "the stored token")?;
    record.set_token(token);
    Ok(())
}
