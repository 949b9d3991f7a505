//! Agents that run on a key of one vendor's API, and on no subscription.

use moat_provider_core::{
    CredentialInfo, CredentialKey, Error, ErrorKind, ProviderName, Result, RunContext,
};

use crate::Backends;

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
            Error::invalid(format!("{name:?} is nothing that the agent runs on"))
                .with_hint(format!("one of: {}", names.join(", ")))
        })
    }

    /// Returns the provider of the grant.
    #[must_use]
    pub fn provider(self) -> &'static ProviderName {
        match self {
            Self::Anthropic => &ANTHROPIC,
            Self::OpenAi => &OPENAI,
            Self::Gemini => &GEMINI,
        }
    }

    /// Returns the name that agents for many vendors have for this one.
    #[must_use]
    pub const fn vendor(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "google",
        }
    }
}

fn backends(agent: &str, wanted: Option<Backend>) -> Backends<'_> {
    Backends::new(agent, &PROVIDERS).wanted(wanted.map(Backend::provider))
}

/// Chooses the grants of a run of an agent, with the name that people know.
///
/// # Errors
///
/// [`ErrorKind::CredentialNotFound`] when there is none, [`ErrorKind::Conflict`] when several would
/// do and none was chosen.
pub fn select(
    agent: &str,
    wanted: Option<Backend>,
    named: &[CredentialKey],
    stored: &[CredentialKey],
) -> Result<Vec<CredentialKey>> {
    backends(agent, wanted).select(named, stored)
}

/// Returns the backend on which an agent, with the name that people know, runs.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a Google login in the place of a key.
pub fn of_run(agent: &str, wanted: Option<Backend>, run: &RunContext) -> Result<Option<Backend>> {
    let Some(info) = backends(agent, wanted).of_run(run) else {
        return Ok(None);
    };
    if is_login(info) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{agent} runs on a key of the Gemini API, and this grant is a Google login"),
        )
        .with_hint("moat grant gemini --source prompt"));
    }
    Backend::named(info.key().provider().as_str()).map(Some)
}

fn is_login(info: &CredentialInfo) -> bool {
    info.metadata("auth_type") == Some("oauth")
}
