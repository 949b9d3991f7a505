//! What the agent runs on: one grant of an API key.

use moat_agent::Backends;
use moat_provider_core::{
    CredentialInfo, CredentialKey, Error, ErrorKind, ProviderName, Result, RunContext,
};

static ANTHROPIC: ProviderName = ProviderName::from_static("anthropic");
static OPENAI: ProviderName = ProviderName::from_static("openai");
static GEMINI: ProviderName = ProviderName::from_static("gemini");
static PROVIDERS: [&ProviderName; 3] = [&ANTHROPIC, &OPENAI, &GEMINI];

/// A vendor whose models the agent uses, by the name of the grant.
///
/// Subscriptions are not among them: their terms are for the vendors' own programs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The grant `anthropic`.
    Anthropic,
    /// The grant `openai`.
    OpenAi,
    /// The grant `gemini`, if it is an API key.
    Gemini,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Anthropic, Self::OpenAi, Self::Gemini];

    /// Returns the backend with a grant's name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|backend| backend.provider().as_str() == name).ok_or_else(|| {
            let names: Vec<_> = PROVIDERS.iter().map(|name| name.as_str()).collect();
            Error::invalid(format!("{name:?} is nothing that OpenCode runs on"))
                .with_hint(format!("one of: {}", names.join(", ")))
        })
    }

    pub(crate) fn provider(self) -> &'static ProviderName {
        match self {
            Self::Anthropic => &ANTHROPIC,
            Self::OpenAi => &OPENAI,
            Self::Gemini => &GEMINI,
        }
    }

    /// Returns the name that OpenCode has for the vendor.
    pub(crate) fn vendor(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "google",
        }
    }
}

fn backends(wanted: Option<Backend>) -> Backends<'static> {
    Backends::new("OpenCode", &PROVIDERS).wanted(wanted.map(Backend::provider))
}

/// Chooses the grants of a run.
///
/// # Errors
///
/// [`ErrorKind::CredentialNotFound`] when there is none, [`ErrorKind::Conflict`] when several would
/// do and none was chosen.
pub(crate) fn select(
    wanted: Option<Backend>,
    named: &[CredentialKey],
    stored: &[CredentialKey],
) -> Result<Vec<CredentialKey>> {
    backends(wanted).select(named, stored)
}

/// Returns the backend of a run.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a Google login in the place of a key.
pub(crate) fn of_run(wanted: Option<Backend>, run: &RunContext) -> Result<Option<Backend>> {
    let Some(info) = backends(wanted).of_run(run) else {
        return Ok(None);
    };
    if is_login(info) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "OpenCode runs on a key of the Gemini API, and this grant is a Google login",
        )
        .with_hint("moat grant gemini --source prompt"));
    }
    Backend::named(info.key().provider().as_str()).map(Some)
}

fn is_login(info: &CredentialInfo) -> bool {
    info.metadata("auth_type") == Some("oauth")
}
