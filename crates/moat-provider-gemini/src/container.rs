//! What a grant puts into a container, whichever program runs there.

use moat_provider_core::{CredentialInfo, EnvVar, Result, RunContext};

use crate::kind::{self, Kind};

/// Returns the variables: the key's, or the two that make Gemini CLI take an access token without a
/// file and without a question to Google (0.61.0).
pub(crate) fn env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    let Some(info) = credentials.first() else {
        return Ok(Vec::new());
    };
    let placeholder = kind::placeholder(info, run)?;
    match Kind::of(info) {
        Kind::ApiKey => Ok(vec![EnvVar::new("GEMINI_API_KEY", placeholder.as_str())?]),
        Kind::OAuth => Ok(vec![
            EnvVar::new("GOOGLE_GENAI_USE_GCA", "true")?,
            EnvVar::new("GOOGLE_CLOUD_ACCESS_TOKEN", placeholder.as_str())?,
        ]),
    }
}
