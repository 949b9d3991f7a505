#![doc = include_str!("../README.md")]

mod error;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "file")]
mod harden;
#[cfg(feature = "import")]
mod import;
#[cfg(feature = "file")]
mod key;
mod memory;
mod owner;
mod profile;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::error::{Result, StoreError, StoreErrorKind};
#[cfg(feature = "file")]
pub use crate::file::{FileStore, FileStoreBuilder};
#[cfg(feature = "file")]
pub use crate::harden::{Hardening, Measure, harden_process};
#[cfg(feature = "import")]
pub use crate::import::{Existing, GoStore, ImportReport, Imported, Outcome, import};
#[cfg(feature = "keyring")]
pub use crate::key::KeyringEntry;
#[cfg(feature = "file")]
pub use crate::key::{
    FixedKey, KeyFile, KeyId, KeyLookup, KeySource, MasterKey, PassedOver, Passphrase,
    PassphraseCost, Unlocked,
};
pub use crate::memory::MemoryStore;
pub use crate::owner::claim;
pub use crate::profile::Profile;
pub use crate::store::{CredentialStore, Entry, Expect, Generation, Lease, Stored};
