//! Who may refresh a credential.

use moat_provider_core::{Credential, CredentialKey};

use crate::{CredentialStore, Expect, Generation, Result};

/// Takes a credential over from the program that has refreshed it so far, and returns the
/// generation that is stored then.
///
/// From then on the credential belongs to this host (law L14): it is the person's word that the
/// other program is done with it. A credential that is this host's already stays as it is.
///
/// # Errors
///
/// Those of [`CredentialStore::load`] and [`CredentialStore::save`], with
/// [`Conflict`](crate::StoreErrorKind::Conflict) when it was saved in the meantime.
pub async fn claim(store: &dyn CredentialStore, key: &CredentialKey) -> Result<Generation> {
    let stored = store.load(key).await?;
    if stored.credential.info().refreshed_by().is_none() {
        return Ok(stored.generation);
    }
    let claimed = stored.credential.renew().without_metadata(Credential::REFRESHED_BY).build();
    store.save(&claimed, Expect::Generation(stored.generation)).await
}
