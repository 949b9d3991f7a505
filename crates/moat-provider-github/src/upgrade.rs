//! Records of earlier versions.

use moat_provider_core::{Credential, CredentialKey, CredentialRecord, Result};

use crate::grant::{FROM_PERSON, HOST};
use crate::host::Instance;
use crate::token::{TOKEN_KIND, TokenKind};

/// What the Go moat called a token that the person pasted.
const PASTED: &str = "pat";

/// Fills what the Go moat did not keep: it stored the token as the environment had it, and its
/// source alone.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the record names
/// no GitHub.
pub(crate) fn upgrade(record: &mut CredentialRecord) -> Result<()> {
    let key: CredentialKey = record.provider().parse()?;
    let instance = Instance::of(&key)?;
    let token = record.token().trimmed();
    let kind = TokenKind::of(&token);
    record.set_token(token);
    let metadata = record.metadata_mut();
    if let Some(source) = metadata.get_mut(Credential::TOKEN_SOURCE)
        && source == PASTED
    {
        *source = FROM_PERSON.to_owned();
    }
    for (name, value) in [(HOST, instance.name()), (TOKEN_KIND, kind.name())] {
        metadata.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(())
}
