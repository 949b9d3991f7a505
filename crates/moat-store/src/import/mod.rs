//! The credentials of an earlier moat, which was written in Go.

mod go;

use moat_provider_core::{Credential, CredentialKey, CredentialRecord, SecretName};
use zeroize::Zeroizing;

pub use self::go::GoStore;
use crate::{CredentialStore, Expect, Result, StoreError, StoreErrorKind};

/// To whom a copied credential belongs until the person claims it.
const OWNER: &str = "moat (Go)";

/// Entries of the metadata that are secrets, whichever provider wrote them. A provider's own upgrade
/// comes first; this is for those that are not at hand.
const SECRET_ENTRIES: &[SecretName] = &[
    SecretName::REFRESH_TOKEN,
    SecretName::from_static("client_secret"),
    SecretName::from_static("meta_app_secret"),
];

/// What happens to a credential that the new store has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays.
    Keep,
    /// It is replaced by the imported one.
    Replace,
}

/// What became of each record, in the order of their names.
#[derive(Debug)]
pub struct ImportReport {
    records: Vec<Imported>,
}

impl ImportReport {
    /// Returns what became of each record.
    #[must_use]
    pub fn records(&self) -> &[Imported] {
        &self.records
    }
}

/// What became of one record.
#[derive(Debug)]
pub struct Imported {
    name: String,
    outcome: Outcome,
}

impl Imported {
    /// Returns the name of the record in the old store; it may hold any character.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what became of it.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What became of a record.
#[non_exhaustive]
#[derive(Debug)]
pub enum Outcome {
    /// It was copied, and everything in it is this host's.
    Copied(CredentialKey),
    /// It was copied, and is not refreshed here until [`claim`](crate::claim) is called, because the
    /// old moat may still refresh it.
    CopiedUnclaimed(CredentialKey),
    /// The new store has such a credential, which was left as it is.
    Kept(CredentialKey),
    /// It could not be read, understood or saved.
    Failed(StoreError),
}

/// Copies the credentials of an earlier moat into a store. The old one is read, and nothing else.
///
/// `upgrade` brings a record to the form of today:
/// [`CredentialProvider::upgrade_record`](moat_provider_core::CredentialProvider::upgrade_record) of
/// the record's provider. What is known to be a secret and still stands in the metadata after that
/// is moved to the secrets.
///
/// A credential that can rotate, because it has a refresh token or an expiry, is marked as the old
/// moat's ([`Credential::REFRESHED_BY`]): two hosts that refresh one login log the person out (law
/// L14).
///
/// # Errors
///
/// Those of reading the old directory. What concerns one record stands in the report.
pub async fn import(
    from: &GoStore,
    into: &dyn CredentialStore,
    upgrade: &(dyn Fn(&mut CredentialRecord) -> moat_provider_core::Result<()> + Sync),
    existing: Existing,
) -> Result<ImportReport> {
    let mut records = Vec::new();
    for (name, json) in from.read().await? {
        let outcome = match json.and_then(|json| read(&name, &json, upgrade)) {
            Ok(credential) => save(&credential, into, existing).await,
            Err(error) => Outcome::Failed(error),
        };
        records.push(Imported { name, outcome });
    }
    Ok(ImportReport { records })
}

fn read(
    name: &str,
    json: &Zeroizing<Vec<u8>>,
    upgrade: &dyn Fn(&mut CredentialRecord) -> moat_provider_core::Result<()>,
) -> Result<Credential> {
    let mut record = CredentialRecord::from_json(json).map_err(|error| failed(name, error))?;
    if record.provider() != name {
        // The old store does not bind a record to the name of its file, so the two can be swapped.
        return Err(StoreError::new(
            StoreErrorKind::Damaged,
            format!(
                "the file of {} holds a credential of {}",
                name.escape_debug(),
                record.provider().escape_debug()
            ),
        )
        .with_hint("grant the credential anew, instead of importing it"));
    }
    upgrade(&mut record).map_err(|error| failed(name, error))?;
    for entry in SECRET_ENTRIES {
        record.lift_secret(entry.as_str(), entry.clone());
    }
    let credential = record.into_credential().map_err(|error| failed(name, error))?;
    let info = credential.info();
    let can_rotate =
        info.expires_at().is_some() || info.secret_names().contains(&SecretName::REFRESH_TOKEN);
    if !can_rotate {
        return Ok(credential);
    }
    Ok(credential.renew().metadata(Credential::REFRESHED_BY, OWNER).build())
}

async fn save(credential: &Credential, into: &dyn CredentialStore, existing: Existing) -> Outcome {
    let key = credential.key().clone();
    let expect = match existing {
        Existing::Keep => Expect::Absent,
        Existing::Replace => Expect::Anything,
    };
    match into.save(credential, expect).await {
        Ok(_) if credential.info().refreshed_by().is_some() => Outcome::CopiedUnclaimed(key),
        Ok(_) => Outcome::Copied(key),
        Err(error) if error.kind() == StoreErrorKind::Conflict => Outcome::Kept(key),
        Err(error) => Outcome::Failed(error),
    }
}

fn failed(name: &str, error: moat_provider_core::Error) -> StoreError {
    let hint =
        error.hint().unwrap_or("grant the credential anew, instead of importing it").to_owned();
    StoreError::new(
        StoreErrorKind::Damaged,
        format!("the credential {} cannot be imported: {error}", name.escape_debug()),
    )
    .with_hint(hint)
    .with_source(error)
}
