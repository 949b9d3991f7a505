//! The bytes of a record: a header in the clear, what is sealed, a checksum.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use moat_provider_core::CredentialKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{KeyId, RecordKey};
use crate::{Generation, Profile, Result, StoreError, StoreErrorKind};

const MAGIC: [u8; 8] = *b"moatcred";
const VERSION: u16 = 1;
/// XChaCha20-Poly1305. There is no other one so far.
const CIPHER: u8 = 1;
const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const CHECKSUM_LEN: usize = 8;

/// The length of a header in bytes.
pub(crate) const HEADER_LEN: usize = 56;

/// What stands in front of every record, in the clear.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 8 | `moatcred` |
/// | 8 | 2 | version of the format, big endian |
/// | 10 | 1 | cipher |
/// | 11 | 1 | zero |
/// | 12 | 8 | id of the master key |
/// | 20 | 8 | generation, big endian |
/// | 28 | 4 | length of the sealed part with its tag, big endian |
/// | 32 | 24 | nonce |
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) key_id: KeyId,
    pub(crate) generation: Generation,
    sealed_len: u32,
    nonce: [u8; NONCE_LEN],
}

/// What is wrong with the bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// They are not a record, or not a whole one.
    Damaged,
    /// They are of a later version of the format.
    Newer,
}

impl Flaw {
    /// Turns the flaw into the error of a credential.
    pub(crate) fn of(self, key: &CredentialKey) -> StoreError {
        match self {
            Self::Damaged => damaged(key),
            Self::Newer => StoreError::new(
                StoreErrorKind::NewerFormat,
                format!("the credential {key} was written by a newer version of this program"),
            )
            .with_hint("moat --version"),
        }
    }
}

/// Makes the error for a record that is cut short or not a record at all.
pub(crate) fn damaged(key: &CredentialKey) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, format!("the file of the credential {key} is damaged"))
        .with_hint(begin_anew(key))
}

fn cannot_decrypt(key: &CredentialKey, why: String) -> StoreError {
    StoreError::new(
        StoreErrorKind::CannotDecrypt,
        format!("the credential {key} cannot be decrypted: {why}"),
    )
    .with_hint(begin_anew(key))
}

fn begin_anew(key: &CredentialKey) -> String {
    format!("moat revoke {key} && moat grant {key}")
}

impl Header {
    /// Reads a header, and compares it with the length of its file.
    pub(crate) fn parse(bytes: &[u8], file_len: u64) -> Result<Self, Flaw> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Flaw::Damaged);
        };
        if header[..8] != MAGIC {
            return Err(Flaw::Damaged);
        }
        if field(header, 8) != VERSION.to_be_bytes() {
            return Err(Flaw::Newer);
        }
        let sealed_len = u32::from_be_bytes(field(header, 28));
        let expected = HEADER_LEN as u64 + u64::from(sealed_len) + CHECKSUM_LEN as u64;
        if header[10] != CIPHER || header[11] != 0 || file_len != expected {
            return Err(Flaw::Damaged);
        }
        Ok(Self {
            key_id: KeyId::from_bytes(field(header, 12)),
            generation: Generation::new(u64::from_be_bytes(field(header, 20))),
            sealed_len,
            nonce: field(header, 32),
        })
    }

    fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10] = CIPHER;
        bytes[12..20].copy_from_slice(&self.key_id.to_bytes());
        bytes[20..28].copy_from_slice(&self.generation.number().to_be_bytes());
        bytes[28..32].copy_from_slice(&self.sealed_len.to_be_bytes());
        bytes[32..].copy_from_slice(&self.nonce);
        bytes
    }
}

fn field<const LEN: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes.copy_from_slice(&header[at..at + LEN]);
    bytes
}

/// Returns what is authenticated beside the sealed part: the header, and to whom the record belongs,
/// so that neither can be exchanged.
fn associated_data(header: &[u8; HEADER_LEN], profile: &Profile, key: &CredentialKey) -> Vec<u8> {
    // Neither text can hold a NUL, so no two pairs give the same bytes.
    let mut data = header.to_vec();
    data.extend(profile.as_str().bytes());
    data.push(0);
    data.extend(key.to_string().bytes());
    data
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut checksum = [0; CHECKSUM_LEN];
    checksum.copy_from_slice(&Sha256::digest(bytes)[..CHECKSUM_LEN]);
    checksum
}

/// Encrypts a record. The clear text is overwritten with what is sealed.
///
/// # Errors
///
/// [`StoreErrorKind::Io`] when the system has no random bytes, or the record has gigabytes.
pub(crate) fn seal(
    mut clear: Zeroizing<Vec<u8>>,
    generation: Generation,
    record_key: &RecordKey,
    profile: &Profile,
    key: &CredentialKey,
) -> Result<Vec<u8>> {
    let failed = |what: &'static str| StoreError::new(StoreErrorKind::Io, what);
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)
        .map_err(|error| failed("the system has no random bytes").with_source(error))?;
    let sealed_len = u32::try_from(clear.len() + TAG_LEN)
        .map_err(|_| failed("a credential of more than four gigabytes"))?;
    let header = Header { key_id: record_key.master_id(), generation, sealed_len, nonce };
    let header = header.to_bytes();
    let tag = XChaCha20Poly1305::new(record_key.bytes().into())
        .encrypt_inout_detached(
            &nonce.into(),
            &associated_data(&header, profile, key),
            clear.as_mut_slice().into(),
        )
        .map_err(|_| failed("a credential that is too large to be encrypted"))?;
    let mut bytes = Vec::with_capacity(HEADER_LEN + clear.len() + TAG_LEN + CHECKSUM_LEN);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&clear);
    bytes.extend_from_slice(&tag);
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
}

/// Checks the form of a record without a key.
pub(crate) fn check(bytes: &[u8]) -> Result<Header, Flaw> {
    let header = Header::parse(bytes, bytes.len() as u64)?;
    let (content, found) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
    if found != checksum(content) || content.len() < HEADER_LEN + TAG_LEN {
        return Err(Flaw::Damaged);
    }
    Ok(header)
}

/// Decrypts a record that [`check`] has found whole.
///
/// # Errors
///
/// [`StoreErrorKind::CannotDecrypt`] when the key is another one, or the record was written for
/// another profile or credential, or altered by somebody who set the checksum right.
pub(crate) fn open(
    mut bytes: Vec<u8>,
    header: &Header,
    record_key: &RecordKey,
    profile: &Profile,
    key: &CredentialKey,
) -> Result<Zeroizing<Vec<u8>>> {
    if header.key_id != record_key.master_id() {
        return Err(cannot_decrypt(
            key,
            format!(
                "it was encrypted with the key {}, and the store's is {}",
                header.key_id,
                record_key.master_id()
            ),
        ));
    }
    let end = bytes.len() - CHECKSUM_LEN - TAG_LEN;
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&bytes[end..end + TAG_LEN]);
    bytes.truncate(end);
    bytes.drain(..HEADER_LEN);
    let mut clear = Zeroizing::new(bytes);
    XChaCha20Poly1305::new(record_key.bytes().into())
        .decrypt_inout_detached(
            &header.nonce.into(),
            &associated_data(&header.to_bytes(), profile, key),
            clear.as_mut_slice().into(),
            &tag.into(),
        )
        .map_err(|_| {
            cannot_decrypt(key, "its file belongs to another credential or was altered".to_owned())
        })?;
    Ok(clear)
}
