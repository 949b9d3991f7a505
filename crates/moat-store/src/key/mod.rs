//! The master key: what it is, where it may stand, and what is derived from it.

mod choice;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod material;
mod passphrase;

use std::fmt;

pub(crate) use self::choice::{KeyRing, Purpose};
pub use self::choice::{PassedOver, Unlocked};
pub use self::file::KeyFile;
#[cfg(feature = "keyring")]
pub use self::keyring::KeyringEntry;
#[cfg(all(feature = "keyring", feature = "import"))]
pub(crate) use self::keyring::TextLookup;
pub(crate) use self::material::RecordKey;
pub use self::material::{KeyId, MasterKey};
pub use self::passphrase::{Passphrase, PassphraseCost};
use crate::{Result, StoreError, StoreErrorKind};

/// A place where the master key may stand: a keyring, a file, behind a passphrase.
///
/// The methods block: a keyring may ask the person. The store calls them on a thread where that is
/// allowed, and [`create`](Self::create) only while no other process does.
pub trait KeySource: fmt::Debug + Send + Sync {
    /// Returns the name of the kind of place: it is written down beside the records, so that the
    /// choice is made once. Lower-case letters: `keyring`, `file`, `passphrase`.
    fn name(&self) -> &str;

    /// Describes the place to a person: "the key file /home/…".
    fn describe(&self) -> String;

    /// Looks for the key.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::KeyUnavailable`] when there may be a key and it cannot be had: a locked
    /// keyring, a wrong passphrase, a time that is up. [`StoreErrorKind::NotPermitted`] when others
    /// could read it. Neither is ever taken for an absent key.
    fn load(&self) -> Result<KeyLookup>;

    /// Puts a new key there, and reads it back: a place that forgets is none. Never replaces a key.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and what the place says.
    fn create(&self, key: &MasterKey) -> Result<()>;
}

/// What a [`KeySource`] has found.
#[non_exhaustive]
#[derive(Debug)]
pub enum KeyLookup {
    /// The key.
    Found(MasterKey),
    /// The place is there, and holds no key.
    Absent,
    /// There is no such place on this machine, for the reason given: a server without a keyring.
    NoSuchPlace(String),
}

/// A key that the embedding program, or a test, holds itself.
#[derive(Clone)]
pub struct FixedKey(MasterKey);

impl FixedKey {
    /// Uses this key.
    #[must_use]
    pub fn new(key: MasterKey) -> Self {
        Self(key)
    }
}

impl KeySource for FixedKey {
    fn name(&self) -> &str {
        "fixed"
    }

    fn describe(&self) -> String {
        "the key of the embedding program".to_owned()
    }

    fn load(&self) -> Result<KeyLookup> {
        Ok(KeyLookup::Found(self.0.clone()))
    }

    fn create(&self, _: &MasterKey) -> Result<()> {
        Err(StoreError::new(StoreErrorKind::Io, "the key is given, and cannot be replaced"))
    }
}

impl fmt::Debug for FixedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FixedKey").field(&self.0).finish()
    }
}

/// Makes the error for a place that does not give back what was put there.
fn forgetful(source: &dyn KeySource) -> StoreError {
    StoreError::new(
        StoreErrorKind::KeyUnavailable,
        format!("{} does not give back the key that was put there", source.describe()),
    )
    .with_hint("run the command once more")
}
