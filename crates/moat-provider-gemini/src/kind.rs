//! The two kinds of credentials, and what stands for them.

use moat_provider_core::{
    Alphabet, CredentialInfo, Error, Placeholder, PlaceholderShape, ProviderName, Result,
    RunContext, Secret, SecretName,
};
use zeroize::Zeroizing;

/// The name of the provider.
pub(crate) static NAME: ProviderName = ProviderName::from_static("gemini");

/// The entry of the metadata that tells the kinds apart, as in the Go moat: absent for keys.
pub(crate) const AUTH_TYPE: &str = "auth_type";
const OAUTH: &str = "oauth";

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key of the Gemini API.
    ApiKey,
    /// An access token of a Google account.
    OAuth,
}

impl Kind {
    /// Tells the kind of a credential.
    pub(crate) fn of(info: &CredentialInfo) -> Self {
        match info.metadata(AUTH_TYPE) {
            Some(OAUTH) => Self::OAuth,
            _ => Self::ApiKey,
        }
    }

    /// Returns what stands in the metadata.
    pub(crate) const fn auth_type(self) -> Option<&'static str> {
        match self {
            Self::ApiKey => None,
            Self::OAuth => Some(OAUTH),
        }
    }

    /// Returns the shape of what stands in a container: the prefix and, of keys, the length of the
    /// real thing. Access tokens have many lengths.
    fn shape(self) -> PlaceholderShape {
        match self {
            Self::ApiKey => PlaceholderShape::prefixed("AIza", Alphabet::Base64Url, 35),
            Self::OAuth => PlaceholderShape::prefixed("ya29.", Alphabet::Base64Url, 120),
        }
    }
}

/// Returns the placeholder of a grant.
pub(crate) fn placeholder(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    run.placeholder(info.key(), SecretName::TOKEN.as_str(), &Kind::of(info).shape())
}

/// Refuses what cannot be a credential of this kind.
///
/// Only what is surely something else is refused: Google has begun to issue keys with another
/// prefix than `AIza`.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with a hint.
pub(crate) fn check_form(kind: Kind, secret: &Secret, what: &str) -> Result<()> {
    let refused =
        |is: &str, hint: &'static str| Err(Error::invalid(format!("{what} {is}")).with_hint(hint));
    if !is_one_word(secret) {
        return refused(
            "is no key: it has spaces, control characters or letters outside ASCII inside",
            "copy the key alone, in one piece",
        );
    }
    match kind {
        Kind::ApiKey if secret.starts_with("ya29.") => refused(
            "is an access token of a Google account, not an API key",
            "moat grant gemini --source import",
        ),
        Kind::ApiKey if secret.starts_with("1//") => refused(
            "is a refresh token of a Google account, not an API key",
            "moat grant gemini --source login",
        ),
        Kind::OAuth if secret.starts_with("AIza") => {
            refused("is an API key, not an access token", "moat grant gemini --source prompt")
        }
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "looks at each character and keeps none")]
fn is_one_word(secret: &Secret) -> bool {
    secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns a pasted secret in one piece: terminals break long lines, and pastes keep the breaks.
#[expect(clippy::disallowed_methods, reason = "the copy is a secret again")]
pub(crate) fn rejoined(pasted: &Secret) -> Secret {
    let text = pasted.expose();
    // Of the full size at once, so that no part is left behind in memory by growing.
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    joined.extend(text.chars().filter(|character| !character.is_whitespace()));
    Secret::new(std::mem::take(&mut *joined))
}
