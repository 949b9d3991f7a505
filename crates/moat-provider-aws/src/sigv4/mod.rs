//! Signature Version 4: what is signed, with which key, and how that is checked and done anew.
//!
//! Source: AWS "Signature Version 4 signing process", "Authenticating Requests (AWS Signature
//! Version 4)" of S3, and `botocore/auth.py`, on whose output the unit tests are made.

mod canonical;
mod chunked;
mod claim;
mod clock;
mod request;
mod signer;
#[cfg(test)]
mod vectors;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(crate) use self::canonical::{Slash, decoded, encode, pairs};
pub(crate) use self::clock::Stamp;
pub(crate) use self::request::sign_own;
pub(crate) use self::signer::Signer;

/// The algorithm's name, as it stands in front of an `Authorization` header.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// For which day, region and service a signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// `20261128`
    pub(crate) day: String,
    /// `eu-central-1`
    pub(crate) region: String,
    /// `s3`
    pub(crate) service: String,
}

impl Scope {
    /// Whether paths are canonical as they are: S3 and its relatives neither normalise nor encode
    /// them a second time.
    fn has_plain_paths(&self) -> bool {
        matches!(&*self.service, "s3" | "s3express" | "s3-object-lambda" | "s3-outposts")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// A key for one scope.
#[derive(Clone)]
struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    fn derive(secret: &str, scope: &Scope) -> Self {
        let first = Zeroizing::new(format!("AWS4{secret}"));
        let mut key = Zeroizing::new(mac(first.as_bytes(), &scope.day));
        for part in [&*scope.region, &*scope.service, "aws4_request"] {
            key = Zeroizing::new(mac(&*key, part));
        }
        Self(key)
    }

    fn sign(&self, text: &str) -> String {
        hex(&mac(&*self.0, text))
    }

    /// Compares in constant time.
    fn has_signed(&self, text: &str, signature: &str) -> bool {
        unhex(signature).is_some_and(|bytes| hasher(&*self.0, text).verify_slice(&bytes).is_ok())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

fn hasher(key: &[u8], text: &str) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    hasher(key, text).finalize().into_bytes().into()
}

/// Returns the SHA-256 of bytes in lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads 64 lower-case hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn string_to_sign(stamp: &str, scope: &str, canonical: &str) -> String {
    format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()))
}
