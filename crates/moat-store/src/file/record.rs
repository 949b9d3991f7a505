//! The clear text of a record, and no second copy of the secrets in it.
//!
//! It is the JSON of [`CredentialRecord`], in which secrets stand as base64: a reader of JSON undoes
//! escapes in a buffer of its own that nobody wipes, and base64 needs no escapes.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use moat_provider_core::{Credential, CredentialRecord, Secret};
use zeroize::Zeroizing;

/// Writes a credential as clear text.
///
/// # Errors
///
/// What the form of the record refuses: a time beyond the year 9999.
pub(crate) fn to_clear(credential: &Credential) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut record = CredentialRecord::from(credential);
    record.set_token(encode(record.token()));
    for secret in record.secrets_mut().values_mut() {
        *secret = encode(secret);
    }
    // The buffer must not grow: what it grew out of would stay behind unwiped.
    let mut len = Count(0);
    serde_json::to_writer(&mut len, &record)?;
    let mut clear = Zeroizing::new(Vec::with_capacity(len.0));
    serde_json::to_writer(&mut *clear, &record)?;
    Ok(clear)
}

/// Reads a credential from clear text; `None` when it is not one.
pub(crate) fn from_clear(clear: &[u8]) -> Option<Credential> {
    let mut record = CredentialRecord::from_json(clear).ok()?;
    record.set_token(decode(record.token())?);
    for secret in record.secrets_mut().values_mut() {
        *secret = decode(secret)?;
    }
    record.into_credential().ok()
}

#[expect(clippy::disallowed_methods, reason = "the secret is encrypted next")]
fn encode(secret: &Secret) -> Secret {
    Secret::new(BASE64.encode(secret.expose()))
}

#[expect(clippy::disallowed_methods, reason = "the secret was decrypted just now")]
fn decode(secret: &Secret) -> Option<Secret> {
    let encoded = secret.expose();
    // `decode` would take a larger buffer than it needs.
    let mut bytes = Zeroizing::new(vec![0; encoded.len() / 4 * 3 + 3]);
    let len = BASE64.decode_slice(encoded, &mut bytes).ok()?;
    Secret::from_utf8(bytes[..len].to_vec()).ok()
}

/// Counts what is written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
