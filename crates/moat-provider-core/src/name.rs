//! Names: of providers, of what a person typed, of stored credentials.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::text::print_as_text;
use crate::{Error, Result};

/// The canonical name of a provider: `github`, `claude`.
///
/// 1 to 64 lower-case ASCII letters, digits and hyphens, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderName(Cow<'static, str>);

impl ProviderName {
    /// Makes a name from a literal.
    ///
    /// # Panics
    ///
    /// When the literal is not a valid name; in a `const` that is an error of the compiler.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_name(name), "not a valid provider name");
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
        let ok = match bytes[at] {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'-' => at > 0,
            _ => false,
        };
        if !ok {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 64
}

impl FromStr for ProviderName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if is_name(name) {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(Error::invalid(format!(
                "{name:?} is not a provider name: 1 to 64 lower-case letters, digits and hyphens, \
                 beginning with a letter or digit"
            )))
        }
    }
}

print_as_text!(ProviderName);

/// What a person typed for a grant: `github`, `aws:prod`, `oauth:notion`.
///
/// Not yet resolved: the name may be an alias, or unknown. [`Registry::resolve`] is the only way to
/// a [`CredentialKey`].
///
/// The text is a name, and optionally a colon and a qualifier. The qualifier is 1 to 253 ASCII
/// letters, digits and `.`, `_`, `-`, `:`, `@`, beginning with a letter or digit, without `..`: it
/// becomes part of file names and URLs.
///
/// [`Registry::resolve`]: crate::Registry::resolve
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantRef {
    name: ProviderName,
    qualifier: Option<Qualifier>,
}

impl GrantRef {
    /// Returns the name in front of the colon: a provider's or an alias.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the text behind the colon.
    #[must_use]
    pub fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_ref().map(Qualifier::as_str)
    }

    pub(crate) fn qualify(&self, provider: ProviderName) -> CredentialKey {
        CredentialKey { provider, qualifier: self.qualifier.clone() }
    }
}

impl FromStr for GrantRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, qualifier) = split(text)?;
        Ok(Self { name, qualifier })
    }
}

impl fmt::Display for GrantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_qualified(f, &self.name, self.qualifier.as_ref())
    }
}

/// The canonical identity of a credential: key of the store, label of rules, `provider` in the
/// record.
///
/// Parses from and prints as `provider` or `provider:qualifier`, with the character sets of
/// [`ProviderName`] and [`GrantRef`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialKey {
    provider: ProviderName,
    qualifier: Option<Qualifier>,
}

impl CredentialKey {
    /// Makes the key of a provider's unqualified credential.
    #[must_use]
    pub const fn new(provider: ProviderName) -> Self {
        Self { provider, qualifier: None }
    }

    /// Returns the provider.
    #[must_use]
    pub fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Returns what tells this credential from the provider's others.
    #[must_use]
    pub fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_ref().map(Qualifier::as_str)
    }
}

impl FromStr for CredentialKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (provider, qualifier) = split(text)?;
        Ok(Self { provider, qualifier })
    }
}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_qualified(f, &self.provider, self.qualifier.as_ref())
    }
}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Qualifier(Arc<str>);

print_as_text!(Qualifier);

impl Qualifier {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Qualifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte);
        if text.len() <= 253
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && text.bytes().all(allowed)
            && !text.contains("..")
        {
            Ok(Self(text.into()))
        } else {
            Err(Error::invalid(format!(
                "{text:?} cannot stand behind the colon of a grant: 1 to 253 ASCII letters, digits \
                 and . _ - : @, beginning with a letter or digit"
            )))
        }
    }
}

fn split(text: &str) -> Result<(ProviderName, Option<Qualifier>)> {
    match text.split_once(':') {
        Some((name, qualifier)) => Ok((name.parse()?, Some(qualifier.parse()?))),
        None => Ok((text.parse()?, None)),
    }
}

fn fmt_qualified(
    f: &mut fmt::Formatter<'_>,
    name: &ProviderName,
    qualifier: Option<&Qualifier>,
) -> fmt::Result {
    match qualifier {
        Some(qualifier) => write!(f, "{name}:{qualifier}"),
        None => write!(f, "{name}"),
    }
}
