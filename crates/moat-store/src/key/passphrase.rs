//! The key behind a passphrase.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use moat_provider_core::Secret;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{KeyLookup, KeySource, MasterKey, forgetful};
use crate::file::disk;
use crate::file::fault::quoted;
use crate::{Result, StoreError, StoreErrorKind};

const KEY_LEN: usize = 32;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const VERSION: u64 = 1;
/// Binds the wrapped key to this use.
const PURPOSE: &[u8] = b"moat-store/1 master key behind a passphrase";

/// Asks the person for the passphrase.
type Ask = dyn Fn() -> Result<Secret> + Send + Sync;

/// The master key in a file, encrypted with a key that Argon2id (RFC 9106) makes from a passphrase.
///
/// The file holds the parameters, the salt and the encrypted key; the passphrase is nowhere.
#[derive(Clone)]
pub struct Passphrase {
    path: PathBuf,
    ask: Arc<Ask>,
    cost: PassphraseCost,
}

/// How much work one guess of the passphrase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseCost {
    /// The second recommendation of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// As little as there is, for tests.
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
    /// More than anybody sets; a file that asks for more is not obeyed.
    const MOST: Self = Self { memory_kib: 4 << 20, passes: 64, lanes: 64 };

    /// Sets memory in KiB, passes over it, and lanes.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::InvalidInput`] when Argon2 does not take them, or they are beyond 4 GiB,
    /// 64 passes or 64 lanes.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self> {
        let cost = Self { memory_kib, passes, lanes };
        cost.params().map(|_| cost).ok_or_else(|| {
            StoreError::new(StoreErrorKind::InvalidInput, "no such cost of a passphrase")
        })
    }

    fn params(self) -> Option<Params> {
        let Self { memory_kib, passes, lanes } = self;
        let most = Self::MOST;
        let is_bounded =
            memory_kib <= most.memory_kib && passes <= most.passes && lanes <= most.lanes;
        is_bounded.then(|| Params::new(memory_kib, passes, lanes, Some(KEY_LEN)).ok())?
    }
}

impl Passphrase {
    /// Uses the file `passphrase.json` in the store's home, and asks for the passphrase like this.
    ///
    /// `ask` is called on a thread that may block, each time that the key is needed and not yet
    /// open, and twice when a passphrase is set: see [`is_new`](Self::is_new).
    #[must_use]
    pub fn in_home(home: &Path, ask: impl Fn() -> Result<Secret> + Send + Sync + 'static) -> Self {
        Self {
            path: home.join("passphrase.json"),
            ask: Arc::new(ask),
            cost: PassphraseCost::RECOMMENDED,
        }
    }

    /// Sets how much work a guess is, for a passphrase that is set from now on.
    #[must_use]
    pub fn cost(mut self, cost: PassphraseCost) -> Self {
        self.cost = cost;
        self
    }

    /// Whether no passphrase has been set yet.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotPermitted`] when the file is not this user's alone, and
    /// [`StoreErrorKind::Io`].
    pub fn is_new(&self) -> Result<bool> {
        Ok(disk::open_private(&self.path)?.is_none())
    }

    #[expect(clippy::disallowed_methods, reason = "a key is derived from the passphrase")]
    fn derive(&self, passphrase: &Secret, cost: PassphraseCost, salt: &[u8]) -> Result<MasterKey> {
        let params = cost.params().ok_or_else(|| self.damaged())?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        MasterKey::fill(|key| {
            argon2
                .hash_password_into(passphrase.expose().as_bytes(), salt, key)
                .map_err(|error| unavailable("Argon2 has failed").with_source(error.to_string()))
        })
    }

    fn damaged(&self) -> StoreError {
        StoreError::new(
            StoreErrorKind::KeyUnavailable,
            format!("the file {} is damaged", self.path.display()),
        )
        .with_hint(format!("ls -l {}", quoted(&self.path)))
    }
}

fn unavailable(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::KeyUnavailable, why).with_hint("run the command once more")
}

impl KeySource for Passphrase {
    fn name(&self) -> &str {
        "passphrase"
    }

    fn describe(&self) -> String {
        format!("the file {}, behind a passphrase", self.path.display())
    }

    fn load(&self) -> Result<KeyLookup> {
        let Some(bytes) = disk::read_private(&self.path)? else { return Ok(KeyLookup::Absent) };
        let wrapped = Wrapped::from_json(&bytes).ok_or_else(|| self.damaged())?;
        let wrapping = self.derive(&(self.ask)()?, wrapped.cost, &wrapped.salt)?;
        let mut key = Zeroizing::new(wrapped.key);
        XChaCha20Poly1305::new(wrapping.bytes().into())
            .decrypt_inout_detached(
                &wrapped.nonce.into(),
                PURPOSE,
                key.as_mut_slice().into(),
                &wrapped.tag.into(),
            )
            .map_err(|_| unavailable("the passphrase is wrong"))?;
        Ok(KeyLookup::Found(MasterKey::from_bytes(&key)))
    }

    fn create(&self, key: &MasterKey) -> Result<()> {
        if !self.is_new()? {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                "a passphrase has been set in the meantime",
            )
            .with_hint("run the command once more"));
        }
        let passphrase = (self.ask)()?;
        if passphrase.is_empty() {
            return Err(unavailable("the passphrase is empty"));
        }
        if !passphrase.same_as(&(self.ask)()?) {
            return Err(unavailable("the two passphrases differ"));
        }
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        for bytes in [&mut salt[..], &mut nonce[..]] {
            getrandom::fill(bytes).map_err(|error| {
                StoreError::new(StoreErrorKind::Io, "the system has no random bytes to give")
                    .with_source(error)
            })?;
        }
        let wrapping = self.derive(&passphrase, self.cost, &salt)?;
        let mut sealed = Zeroizing::new(*key.bytes());
        let tag = XChaCha20Poly1305::new(wrapping.bytes().into())
            .encrypt_inout_detached(&nonce.into(), PURPOSE, sealed.as_mut_slice().into())
            .map_err(|_| unavailable("the key cannot be encrypted"))?;
        let wrapped = Wrapped { cost: self.cost, salt, nonce, key: *sealed, tag: tag.into() };
        let json = format!("{:#}\n", wrapped.to_json());
        disk::replace(&self.path, &disk::with_ending(&self.path, ".tmp"), json.as_bytes())?;
        match disk::read_private(&self.path)? {
            Some(found) if found == json.as_bytes() => Ok(()),
            _ => Err(forgetful(self)),
        }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase")
            .field("path", &self.path)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// The content of the file.
struct Wrapped {
    cost: PassphraseCost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    key: [u8; KEY_LEN],
    tag: [u8; TAG_LEN],
}

impl Wrapped {
    fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "kdf": "argon2id",
            "memory_kib": self.cost.memory_kib,
            "passes": self.cost.passes,
            "lanes": self.cost.lanes,
            "salt": BASE64.encode(self.salt),
            "cipher": "xchacha20-poly1305",
            "nonce": BASE64.encode(self.nonce),
            "key": BASE64.encode(self.key),
            "tag": BASE64.encode(self.tag),
        })
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(bytes).ok()?;
        let number = |name: &str| u32::try_from(json.get(name)?.as_u64()?).ok();
        if json.get("version")?.as_u64()? != VERSION
            || json.get("kdf")? != "argon2id"
            || json.get("cipher")? != "xchacha20-poly1305"
        {
            return None;
        }
        Some(Self {
            cost: PassphraseCost {
                memory_kib: number("memory_kib")?,
                passes: number("passes")?,
                lanes: number("lanes")?,
            },
            salt: bytes_in(&json, "salt")?,
            nonce: bytes_in(&json, "nonce")?,
            key: bytes_in(&json, "key")?,
            tag: bytes_in(&json, "tag")?,
        })
    }
}

fn bytes_in<const LEN: usize>(json: &Value, name: &str) -> Option<[u8; LEN]> {
    BASE64.decode(json.get(name)?.as_str()?).ok()?.try_into().ok()
}
