//! Profiles: separate sets of credentials of one person.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Result, StoreError, StoreErrorKind};

/// The name of a set of credentials: `default`, `work`.
///
/// 1 to 64 ASCII letters, digits, hyphens and underscores, beginning with a letter or digit. Upper
/// and lower case are told apart, also on file systems that do not.
///
/// A profile sees no credential of another one, and no credential of the default profile either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile(Arc<str>);

/// The longest name: it becomes part of paths.
const MAX_LEN: usize = 64;
const DEFAULT: &str = "default";

impl Profile {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the profile of a person who named none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl FromStr for Profile {
    type Err = StoreError;

    fn from_str(name: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.len() <= MAX_LEN
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && name.bytes().all(allowed)
        {
            return Ok(Self(name.into()));
        }
        // `Debug` escapes what a terminal would obey, and nobody reads more than the beginning.
        let shown: String = name.chars().take(MAX_LEN + 1).collect();
        Err(StoreError::new(
            StoreErrorKind::InvalidInput,
            format!(
                "{shown:?} is not a profile: 1 to {MAX_LEN} ASCII letters, digits, hyphens and \
                 underscores, beginning with a letter or digit"
            ),
        )
        .with_hint("moat run --profile work"))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_names_of_the_rule() {
        let longest = "x".repeat(64);
        for name in ["a", "7", "work", "Work-2_b", "default", &longest] {
            assert_eq!(name.parse::<Profile>().unwrap().as_str(), name);
        }
        assert!("default".parse::<Profile>().unwrap().is_default());
    }

    #[test]
    fn refuses_all_others() {
        let too_long = "x".repeat(65);
        let wrong = [
            "", "-a", "_a", "a.b", "a b", "a/b", "..", "~", "a\0", "ä", "a\n", "\u{202e}",
            &too_long,
        ];
        for name in wrong {
            let error = name.parse::<Profile>().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidInput, "{name:?}");
            assert!(!error.message().contains(['\0', '\n', '\u{202e}']), "{name:?}");
        }
    }
}
