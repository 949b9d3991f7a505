//! Records of earlier versions.

use moat_provider_core::{CredentialRecord, Result};

use crate::token::{check_key, rejoined};

/// Takes a key of the Go moat, which kept what stood in the environment as it was.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when it is no key, with
/// the command that grants what it is.
pub(crate) fn upgrade_key(record: &mut CredentialRecord) -> Result<()> {
    let key = rejoined(record.token());
    check_key(&key, "the stored key")?;
    record.set_token(key);
    Ok(())
}
