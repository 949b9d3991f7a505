//! The two kinds of credentials, and what stands for them.

use moat_provider_core::{
    Alphabet, CredentialInfo, Error, Placeholder, PlaceholderShape, ProviderName, Result,
    RunContext, Secret, SecretName,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::grant::{ACCOUNT, PLAN};
use crate::jwt::{AUTH_CLAIM, EMAIL_CLAIM};
use crate::login::CLIENT_ID;

/// The name of the provider of ChatGPT logins.
pub(crate) static CODEX: ProviderName = ProviderName::from_static("codex");
/// The name of the provider of API keys.
pub(crate) static OPENAI: ProviderName = ProviderName::from_static("openai");

/// What begins every API key.
const KEY: &str = "sk-";
/// What begins keys that manage an organization.
const ADMIN: &str = "sk-admin-";
/// What begins secrets of another vendor, which also begin like a key.
const ANTHROPIC: &str = "sk-ant-";
/// What begins access tokens that a person makes for programs.
pub(crate) const ACCESS_TOKEN: &str = "at-";
/// What begins every JSON Web Token: base64url of `{"`.
const JWT: &str = "eyJ";

/// The length of the random part of a project's key.
const KEY_TAIL: usize = 156;
/// 2100-01-01: the placeholder does not expire, whatever becomes of the token.
const NEVER: i64 = 4_102_444_800;

/// A kind of credential, and with it a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A token of a ChatGPT account: of a login, or one that the person made for programs.
    ChatGpt,
    /// An API key.
    ApiKey,
}

impl Kind {
    /// Returns the provider's name.
    pub(crate) fn provider(self) -> &'static ProviderName {
        match self {
            Self::ChatGpt => &CODEX,
            Self::ApiKey => &OPENAI,
        }
    }

    /// Returns the placeholder of a grant.
    pub(crate) fn placeholder(
        self,
        info: &CredentialInfo,
        run: &RunContext,
    ) -> Result<Placeholder> {
        let shape = match self {
            Self::ChatGpt => login_shape(info),
            Self::ApiKey => {
                PlaceholderShape::prefixed("sk-proj-", Alphabet::Alphanumeric, KEY_TAIL)
            }
        };
        run.placeholder(info.key(), SecretName::TOKEN.as_str(), &shape)
    }

    /// Returns the grant of this kind in a run.
    pub(crate) fn grant_of(self, run: &RunContext) -> Option<&CredentialInfo> {
        run.grants_of(self.provider()).next()
    }
}

/// A token out of which Codex reads what it wants to know: that it is good for long, the account and
/// the plan. It looks at no signature (0.169.0).
///
/// One token stands for all three of a login: there is nothing that Codex reads in one and must not
/// find in another.
fn login_shape(info: &CredentialInfo) -> PlaceholderShape {
    let claims = json!({
        "aud": ["https://api.openai.com/v1"],
        "client_id": CLIENT_ID,
        "exp": NEVER,
        "iss": "https://auth.openai.com",
        "sub": "moat",
        AUTH_CLAIM: {
            "chatgpt_account_id": info.metadata(ACCOUNT),
            "chatgpt_plan_type": info.metadata(PLAN).unwrap_or(DEFAULT_PLAN),
            "chatgpt_user_id": "moat",
            "user_id": "moat",
        },
        EMAIL_CLAIM: { "email": "agent@sandbox.invalid", "email_verified": true },
    });
    let claims = match claims {
        Value::Object(claims) => claims,
        _ => serde_json::Map::new(),
    };
    PlaceholderShape::jwt(&claims)
}

/// The plan that is named where none is known; the vendor decides what it answers.
const DEFAULT_PLAN: &str = "plus";

/// Refuses what is no API key, and says which grant is meant instead.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with a hint.
pub(crate) fn check_key(secret: &Secret, what: &str) -> Result<()> {
    check_one_word(secret, what)?;
    match () {
        () if secret.starts_with(ADMIN) => refused(
            what,
            "is an admin key, which manages an organization and its keys",
            "make an ordinary key: https://platform.openai.com/api-keys",
        ),
        () if secret.starts_with(ANTHROPIC) => refused(
            what,
            "is a secret of Anthropic's",
            "moat grant anthropic, or moat grant claude",
        ),
        () if secret.starts_with(KEY) => Ok(()),
        () if secret.starts_with(ACCESS_TOKEN) || secret.starts_with(JWT) => {
            refused(what, "is a token of a ChatGPT account, not an API key", "moat grant codex")
        }
        () => refused(
            what,
            "does not begin with sk-",
            "copy a key from https://platform.openai.com/api-keys",
        ),
    }
}

/// Refuses what is no access token for programs.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with a hint.
pub(crate) fn check_access_token(secret: &Secret, what: &str) -> Result<()> {
    check_one_word(secret, what)?;
    match () {
        () if secret.starts_with(ACCESS_TOKEN) => Ok(()),
        () if secret.starts_with(KEY) => refused(
            what,
            "is an API key, not an access token of a ChatGPT account",
            "moat grant openai",
        ),
        () if secret.starts_with(JWT) => refused(
            what,
            "is a token of a login or of an agent's identity, not an access token for programs",
            "moat grant codex --source device",
        ),
        () => refused(
            what,
            "does not begin with at-",
            "copy the access token again, or moat grant codex --source device",
        ),
    }
}

/// Refuses what a header cannot carry.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with a hint.
#[expect(clippy::disallowed_methods, reason = "looks at each character and keeps none")]
pub(crate) fn check_one_word(secret: &Secret, what: &str) -> Result<()> {
    let text = secret.expose();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => refused(
            what,
            "is no token: it is empty, or has control characters or letters outside ASCII inside",
            "copy the token alone, in one piece",
        ),
    }
}

fn refused(what: &str, is: &str, hint: &str) -> Result<()> {
    Err(Error::invalid(format!("{what} {is}")).with_hint(hint.to_owned()))
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
