//! The old store: where its records and its key stand, and how they are encrypted.

use std::path::{Path, PathBuf};

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::file::{disk, fault};
#[cfg(feature = "keyring")]
use crate::key::KeyringEntry;
use crate::key::MasterKey;
use crate::{Profile, Result, StoreError, StoreErrorKind};

const ENDING: &str = ".enc";
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// The store of an earlier moat, in its directory (`~/.moat`, or `$MOAT_HOME`).
///
/// A record is 12 bytes of nonce, then what AES-256-GCM made of its JSON, tag included, with no
/// associated data. The key stands in base64 in the keyring (service `moat`, account
/// `encryption-key`) or in the file `encryption.key`. That moat made a second key when it could not
/// read the first, so each record is tried with both.
#[derive(Clone, Debug)]
pub struct GoStore {
    records: PathBuf,
    key_file: PathBuf,
    #[cfg(feature = "keyring")]
    keyring: Option<KeyringEntry>,
}

/// A record by its name: its JSON, or why it cannot be read.
type Record = (String, Result<Zeroizing<Vec<u8>>>);

impl GoStore {
    /// Reads the store in this directory, with the key in its key file.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self {
            records: home.join("credentials"),
            key_file: home.join("encryption.key"),
            #[cfg(feature = "keyring")]
            keyring: None,
        }
    }

    /// Reads the records of a profile, which is not the default one.
    #[must_use]
    pub fn profile(mut self, profile: &Profile) -> Self {
        self.records = self.records.join("profiles").join(profile.as_str());
        self
    }

    /// Reads the key from this file: `<service>.key`, when `MOAT_KEYRING_SERVICE` was set.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = path.into();
        self
    }

    /// Looks for the key in the system's keyring, too.
    #[cfg(feature = "keyring")]
    #[must_use]
    pub fn with_keyring(self) -> Self {
        self.key_entry(KeyringEntry::system().named("moat", "encryption-key"))
    }

    /// Looks for the key in this entry of a keyring, too.
    #[cfg(feature = "keyring")]
    #[must_use]
    pub fn key_entry(mut self, entry: KeyringEntry) -> Self {
        self.keyring = Some(entry);
        self
    }

    pub(super) async fn read(&self) -> Result<Vec<Record>> {
        let store = self.clone();
        let read = spawn_blocking(move || store.read_blocking()).await;
        read.map_err(|error| {
            StoreError::new(StoreErrorKind::Io, "the import was interrupted").with_source(error)
        })?
    }

    fn read_blocking(&self) -> Result<Vec<Record>> {
        let names = disk::names_in(&self.records)?;
        let names: Vec<_> = names.iter().filter_map(|name| name.strip_suffix(ENDING)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.keys();
        Ok(names.into_iter().map(|name| (name.to_owned(), self.decrypt(name, &keys))).collect())
    }

    fn decrypt(&self, name: &str, keys: &Keys) -> Result<Zeroizing<Vec<u8>>> {
        let path = self.records.join(format!("{name}{ENDING}"));
        let bytes = disk::read_regular(&path)?;
        if bytes.len() < NONCE_LEN + TAG_LEN {
            return Err(StoreError::new(
                StoreErrorKind::Damaged,
                format!("the file {} is cut short", path.display()),
            )
            .with_hint(format!("ls -l {}", fault::quoted(&path))));
        }
        keys.found.iter().find_map(|key| open(&bytes, key)).ok_or_else(|| keys.error(&path))
    }

    /// Collects the keys that can be had. What is in the way matters only to a record that none of
    /// the others opens.
    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        #[cfg(feature = "keyring")]
        if let Some(entry) = &self.keyring {
            use crate::key::TextLookup;

            match entry.read_text() {
                Ok(TextLookup::Found(text)) => match key_in_entry(&text) {
                    Some(key) => keys.found.push(key),
                    None => keys.obstacles.push("the keyring's entry is not a key".to_owned()),
                },
                Ok(TextLookup::Absent) => {}
                Ok(TextLookup::NoSuchPlace(reason)) => {
                    keys.obstacles.push(format!("there is no keyring: {}", reason.escape_debug()));
                }
                Err(error) => keys.obstacles.push(error.to_string()),
            }
        }
        match disk::read_private(&self.key_file).map(|bytes| bytes.map(Zeroizing::new)) {
            Ok(None) => {}
            Ok(Some(bytes)) => match str::from_utf8(&bytes).ok().and_then(key_in_text) {
                Some(key) => keys.found.push(key),
                None => keys.obstacles.push(format!("{} is not a key", self.key_file.display())),
            },
            Err(error) => keys.obstacles.push(error.to_string()),
        }
        keys
    }
}

#[derive(Default)]
struct Keys {
    found: Vec<MasterKey>,
    obstacles: Vec<String>,
}

impl Keys {
    fn error(&self, path: &Path) -> StoreError {
        let (kind, why) = if !self.obstacles.is_empty() {
            (StoreErrorKind::KeyUnavailable, self.obstacles.join("; "))
        } else if self.found.is_empty() {
            (StoreErrorKind::KeyMissing, "there is no key of the old moat".to_owned())
        } else {
            (StoreErrorKind::CannotDecrypt, "no key fits, or it is damaged".to_owned())
        };
        StoreError::new(kind, format!("{} cannot be decrypted: {why}", path.display()))
            .with_hint("grant the credential anew, instead of importing it")
    }
}

fn open(bytes: &[u8], key: &MasterKey) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let (sealed, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
    let mut clear = Zeroizing::new(sealed.to_vec());
    Aes256Gcm::new(key.bytes().into())
        .decrypt_inout_detached(&(*nonce).into(), &[], clear.as_mut_slice().into(), &(*tag).into())
        .ok()?;
    Some(clear)
}

fn key_in_text(text: &str) -> Option<MasterKey> {
    MasterKey::from_base64(text.trim())
}

/// Reads an entry as Go's keyring library writes it: on macOS it encodes the value once more, and
/// says so in front.
#[cfg(feature = "keyring")]
fn key_in_entry(text: &str) -> Option<MasterKey> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let Some(encoded) = text.strip_prefix("go-keyring-base64:") else { return key_in_text(text) };
    let inner = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    key_in_text(str::from_utf8(&inner).ok()?)
}
