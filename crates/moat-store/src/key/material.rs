//! Keys as bytes, and what is derived from them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Profile, Result, StoreError, StoreErrorKind};

const LEN: usize = 32;
/// What the text form begins with, behind which the id and the key stand.
const TEXT: &str = "moat-key-1";

/// The key of which all others are derived: 32 random bytes.
///
/// Clones share one buffer, which is wiped when the last of them goes.
#[derive(Clone)]
pub struct MasterKey(Arc<Zeroizing<[u8; LEN]>>);

impl MasterKey {
    /// Draws a key.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Io`] when the system has no random bytes to give.
    pub fn generate() -> Result<Self> {
        Self::fill(|bytes| {
            getrandom::fill(bytes).map_err(|error| {
                StoreError::new(StoreErrorKind::Io, "the system has no random bytes to give")
                    .with_source(error)
            })
        })
    }

    /// Takes over a key that is there already.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; LEN]));
        if let Some(inner) = Arc::get_mut(&mut key) {
            inner.copy_from_slice(bytes);
        }
        Self(key)
    }

    /// Makes a key in its final place, so that no copy stays on the stack.
    pub(crate) fn fill(write: impl FnOnce(&mut [u8; LEN]) -> Result<()>) -> Result<Self> {
        let mut key = Arc::new(Zeroizing::new([0; LEN]));
        if let Some(inner) = Arc::get_mut(&mut key) {
            write(inner)?;
        }
        Ok(Self(key))
    }

    /// Returns the id, which tells keys apart and says nothing about them.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        self.derive(&[b"moat-store/1 key id"], &mut id);
        KeyId(id)
    }

    /// Derives the key of a profile's records.
    pub(crate) fn record_key(&self, profile: &Profile) -> RecordKey {
        let mut bytes = Arc::new(Zeroizing::new([0; LEN]));
        if let Some(inner) = Arc::get_mut(&mut bytes) {
            let info: [&[u8]; 2] = [b"moat-store/1 records of ", profile.as_str().as_bytes()];
            self.derive(&info, &mut **inner);
        }
        RecordKey { master_id: self.id(), bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Derives bytes with HKDF-SHA-256 (RFC 5869); the master key is uniform, so there is no salt.
    fn derive(&self, info: &[&[u8]], bytes: &mut [u8]) {
        let derived = Hkdf::<Sha256>::new(None, self.0.as_slice()).expand_multi_info(info, bytes);
        debug_assert!(derived.is_ok(), "HKDF gives up to 8,160 bytes");
    }

    /// Returns the form in which files and keyrings keep the key: one line of text, with the id as
    /// a check value.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let id = self.id().to_string();
        let mut text = Zeroizing::new(String::with_capacity(TEXT.len() + id.len() + 64));
        text.push_str(TEXT);
        text.push(' ');
        text.push_str(&id);
        text.push(' ');
        BASE64.encode_string(self.0.as_slice(), &mut text);
        text
    }

    /// Reads the form of [`to_text`](Self::to_text); `None` when it is none, or damaged.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace();
        if parts.next() != Some(TEXT) {
            return None;
        }
        let (id, encoded) = (parts.next()?, parts.next()?);
        let key = Self::from_base64(encoded)?;
        (parts.next().is_none() && key.id().to_string() == id).then_some(key)
    }

    /// Reads a key in base64; `None` when it is not one of 32 bytes.
    pub(crate) fn from_base64(encoded: &str) -> Option<Self> {
        // Room for what the decoder estimates, which is up to two bytes more.
        let mut bytes = Zeroizing::new([0; LEN + 4]);
        let unpadded = encoded.trim_end_matches('=');
        let len = BASE64.decode_slice(unpadded, &mut *bytes).ok()?;
        let (key, _) = bytes.split_first_chunk::<LEN>()?;
        (len == LEN).then(|| Self::from_bytes(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The id of a master key: 64 bits derived from it, printed in hexadecimal. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    pub(crate) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key of one profile's records.
#[derive(Clone)]
pub(crate) struct RecordKey {
    master_id: KeyId,
    bytes: Arc<Zeroizing<[u8; LEN]>>,
}

impl RecordKey {
    /// Returns the id of the master key from which it was derived.
    pub(crate) fn master_id(&self) -> KeyId {
        self.master_id
    }

    pub(crate) fn bytes(&self) -> &[u8; LEN] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_leads_back_and_nothing_else_does() {
        let key = MasterKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(MasterKey::from_text(&text).unwrap().bytes(), key.bytes());
        assert_eq!(MasterKey::from_text(&format!(" {}\n", *text)).unwrap().bytes(), key.bytes());
        for len in 0..text.len() {
            assert!(MasterKey::from_text(&text[..len]).is_none(), "{len}");
        }
        assert!(MasterKey::from_text(&format!("{} x", *text)).is_none());
        let other = MasterKey::generate().unwrap().id().to_string();
        assert!(MasterKey::from_text(&text.replace(&key.id().to_string(), &other)).is_none());
    }

    #[test]
    fn each_profile_has_a_key_of_its_own() {
        let master = MasterKey::generate().unwrap();
        let of = |profile: &str| *master.record_key(&profile.parse().unwrap()).bytes();
        assert_ne!(of("default"), of("work"));
        assert_eq!(of("work"), of("work"));
        assert_ne!(&of("default"), master.bytes());
    }

    #[test]
    fn ids_lead_back() {
        let id = MasterKey::generate().unwrap().id();
        assert_eq!(KeyId::from_hex(&id.to_string()), Some(id));
        assert_eq!(KeyId::from_hex("+123456789abcdef"), None);
    }

    #[test]
    fn keys_show_nothing() {
        let key = MasterKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains(&*BASE64.encode(key.bytes())));
        assert!(shown.contains(&key.id().to_string()));
    }
}
