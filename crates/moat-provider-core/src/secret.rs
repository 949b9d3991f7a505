//! Secrets: wiped when dropped, compared in constant time, shown by nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ctutils::CtEq;
use zeroize::{Zeroize, Zeroizing};

use crate::text::print_as_text;
use crate::{Error, ErrorKind, Result};

/// A piece of text that must not be seen: a token, a key, a password.
///
/// Clones share one buffer, which is wiped when the last of them goes. There is no `Display`,
/// `PartialEq`, `Serialize` or `Deref`, and [`Debug`](fmt::Debug) prints no byte of it.
///
/// Wiping covers this buffer only. Copies that a caller makes with [`Secret::expose`], that the
/// allocator made before, or that a library holds (a header value, a request body) stay in memory.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes over a string.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Arc::new(Zeroizing::new(value)))
    }

    /// Takes over bytes that should be UTF-8; wipes them when they are not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedAnswer`] when the bytes are not UTF-8; the text shows none of them.
    pub fn from_utf8(bytes: Vec<u8>) -> Result<Self> {
        String::from_utf8(bytes).map(Self::new).map_err(|error| {
            error.into_bytes().zeroize();
            Error::new(ErrorKind::UnexpectedAnswer, "the secret is not UTF-8 text")
        })
    }

    /// Returns the secret itself.
    ///
    /// The one way out, and on clippy's disallowed list in this workspace: each use says why it is
    /// needed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time for values of one length.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it begins with a public prefix such as `ghp_`, which tells kinds of tokens apart.
    #[must_use]
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.starts_with(prefix)
    }

    /// Returns the secret without white space around it: what a paste, a file or a command added.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let trimmed = self.0.trim();
        if trimmed.len() == self.0.len() { self.clone() } else { Self::new(trimmed.to_owned()) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// The name of one secret of a credential: `token`, `refresh_token`, `client_secret`.
///
/// 1 to 128 printable ASCII characters without white space. Names are not secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Cow<'static, str>);

impl SecretName {
    /// The credential's main token.
    pub const TOKEN: Self = Self::from_static("token");
    /// An OAuth refresh token (RFC 6749, section 1.5).
    pub const REFRESH_TOKEN: Self = Self::from_static("refresh_token");

    /// Makes a name from a literal.
    ///
    /// # Panics
    ///
    /// When the literal is not a valid name; in a `const` that is an error of the compiler.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_name(name), "a secret's name is 1 to 128 printable ASCII characters");
        Self(Cow::Borrowed(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_graphic() {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 128
}

impl FromStr for SecretName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if is_name(name) {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(Error::invalid("a secret's name is 1 to 128 printable ASCII characters"))
        }
    }
}

print_as_text!(SecretName);

/// The named secrets of one generation of a credential, or of one mint.
///
/// Cheap to clone. [`Debug`](fmt::Debug) prints the names.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<SecretName, Secret>>);

impl Secrets {
    /// Returns a secret by its name.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Returns a secret by its name, or an error that says which one is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`] when there is no secret of that name.
    pub fn require(&self, name: &SecretName) -> Result<&Secret> {
        self.get(name).ok_or_else(|| {
            Error::new(ErrorKind::CredentialNotFound, format!("there is no secret named {name}"))
        })
    }

    /// Iterates in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretName, &Secret)> {
        self.0.iter()
    }

    /// Iterates over the names in order.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.0.keys()
    }

    pub(crate) fn to_map(&self) -> BTreeMap<SecretName, Secret> {
        (*self.0).clone()
    }
}

impl FromIterator<(SecretName, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (SecretName, Secret)>>(secrets: I) -> Self {
        Self(Arc::new(secrets.into_iter().collect()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
