//! The two kinds of credentials, told apart by their prefixes, and what stands for them.

use moat_provider_core::{
    Alphabet, CredentialInfo, CredentialKey, Error, Placeholder, PlaceholderShape, ProviderName,
    Result, RunContext, Secret, SecretName,
};
use zeroize::Zeroizing;

/// The name of the provider of subscriptions.
pub(crate) static CLAUDE: ProviderName = ProviderName::from_static("claude");
/// The name of the provider of API keys.
pub(crate) static ANTHROPIC: ProviderName = ProviderName::from_static("anthropic");

/// What begins every secret of this vendor.
const VENDOR: &str = "sk-ant-";
/// What begins access tokens of OAuth: those of `claude setup-token` and of logins.
pub(crate) const OAUTH: &str = "sk-ant-oat";
/// What begins refresh tokens of OAuth.
const REFRESH: &str = "sk-ant-ort";
/// What begins keys of the Admin API, which manage an organization and its other keys.
const ADMIN: &str = "sk-ant-admin";

/// How long the random part of tokens and keys is.
const TAIL: usize = 95;

/// A kind of credential, and with it a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An OAuth access token of a subscription.
    OAuth,
    /// An API key.
    ApiKey,
}

impl Kind {
    /// Returns the provider's name.
    pub(crate) fn provider(self) -> &'static ProviderName {
        match self {
            Self::OAuth => &CLAUDE,
            Self::ApiKey => &ANTHROPIC,
        }
    }

    /// Returns the shape of what stands in a container: the vendor's prefix, because Claude Code
    /// goes by it, and the length of the real thing.
    fn shape(self) -> PlaceholderShape {
        let prefix = match self {
            Self::OAuth => "sk-ant-oat01-",
            Self::ApiKey => "sk-ant-api03-",
        };
        PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, TAIL)
    }

    /// Returns the placeholder of a grant.
    pub(crate) fn placeholder(self, key: &CredentialKey, run: &RunContext) -> Result<Placeholder> {
        run.placeholder(key, SecretName::TOKEN.as_str(), &self.shape())
    }

    /// Returns the grant of this kind in a run.
    pub(crate) fn grant_of(self, run: &RunContext) -> Option<&CredentialInfo> {
        run.grants_of(self.provider()).next()
    }

    /// Refuses what is not a credential of this kind, and says which grant is meant instead.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with a hint.
    pub(crate) fn check_form(self, secret: &Secret, what: &str) -> Result<()> {
        let refused = |is: &str, hint: &str| {
            Err(Error::invalid(format!("{what} {is}")).with_hint(hint.to_owned()))
        };
        if !is_one_word(secret) {
            return refused(
                "is no token: it has control characters or letters outside ASCII inside",
                "copy the token alone, in one piece",
            );
        }
        match self {
            _ if secret.starts_with(ADMIN) => refused(
                "is a key of the Admin API, which manages an organization and its keys",
                "make an ordinary key: https://platform.claude.com/settings/keys",
            ),
            _ if secret.starts_with(REFRESH) => refused(
                "is a refresh token, which belongs to the login that it came from",
                "make a token with claude setup-token, then moat grant claude",
            ),
            Self::ApiKey if secret.starts_with(OAUTH) => {
                refused("is a token of a Claude subscription, not an API key", "moat grant claude")
            }
            Self::OAuth if secret.starts_with(OAUTH) => Ok(()),
            Self::OAuth if secret.starts_with(VENDOR) => refused(
                "is an API key, not a token of a Claude subscription",
                "moat grant anthropic",
            ),
            Self::OAuth => refused(
                "does not begin with sk-ant-oat01-",
                "copy what claude setup-token prints, all of it",
            ),
            Self::ApiKey if secret.starts_with(VENDOR) => Ok(()),
            Self::ApiKey => refused(
                "does not begin with sk-ant-",
                "copy a key from https://platform.claude.com/settings/keys",
            ),
        }
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

/// Returns how Claude Code remembers that the person agreed to use a key from the environment: its
/// last 20 characters (`customApiKeyResponses` in `.claude.json`, Claude Code 2.1.197).
pub(crate) fn approval_of(key: &Placeholder) -> &str {
    const SHOWN: usize = 20;
    let text = key.as_str();
    text.get(text.len().saturating_sub(SHOWN)..).unwrap_or(text)
}
