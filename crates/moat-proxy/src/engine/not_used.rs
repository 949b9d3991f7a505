//! Why no credential was used.

use std::fmt;

/// Why no credential was put into a request that went on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotUsed {
    /// No rule for this host has a credential.
    NoRule,
    /// The host is an address, and credentials only go to names (law L6).
    Address,
    /// The host's rules are for other paths.
    NotThisPath,
    /// The host's rules are for other methods.
    NotThisMethod,
    /// The rules that fit wait for their placeholder, which did not come.
    NoPlaceholder,
    /// The client brought a credential of its own.
    ClientCredential,
    /// A placeholder of this run came that is for another place.
    OtherPlaceholder,
}

impl NotUsed {
    /// Returns the stable code: `not-this-path`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no-rule",
            Self::Address => "address",
            Self::NotThisPath => "not-this-path",
            Self::NotThisMethod => "not-this-method",
            Self::NoPlaceholder => "no-placeholder",
            Self::ClientCredential => "client-credential",
            Self::OtherPlaceholder => "other-placeholder",
        }
    }
}

impl fmt::Display for NotUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
