//! API keys: from the environment, and pasted.

use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantRequest, Result, Secret,
};

use super::{FROM_ENVIRONMENT, FROM_PERSON, checked, tell, unattended};
use crate::kind::{Kind, check_form, rejoined};

/// Variables with a key, in the order in which they are looked at.
const VARIABLES: [&str; 2] = ["GEMINI_API_KEY", "GOOGLE_API_KEY"];

const GUIDANCE: &str = "Make a key of its own for the agent:\n  https://aistudio.google.com/apikey";

/// Returns the first variable that holds something, and what.
pub(super) fn look(cx: &GrantContext) -> Result<Option<(String, Secret)>> {
    match cx.first_var(&VARIABLES) {
        Ok(found) => Ok(found.map(|(name, key)| (name.to_string(), key))),
        // An embedder that gives no environment has no key in it.
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn from_environment(
    cx: &GrantContext,
    request: &GrantRequest,
) -> Result<Credential> {
    let (name, key) = look(cx)?.ok_or_else(|| {
        Error::new(ErrorKind::CredentialNotFound, "GEMINI_API_KEY is not set")
            .with_hint("export GEMINI_API_KEY, or choose another --source")
    })?;
    check_form(Kind::ApiKey, &key, &format!("the value of {name}"))?;
    tell(cx, &format!("Using the key in {name}.")).await;
    Ok(checked(cx, request, Kind::ApiKey, key, FROM_ENVIRONMENT).await?.build())
}

pub(super) async fn from_person(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    tell(cx, GUIDANCE).await;
    let asked = cx.terminal().ask_secret("API key").await;
    let key = rejoined(&asked.map_err(|error| unattended(error, "nobody is there to give a key"))?);
    if key.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no key was given")
            .with_hint("moat grant gemini"));
    }
    check_form(Kind::ApiKey, &key, "what was given")?;
    Ok(checked(cx, request, Kind::ApiKey, key, FROM_PERSON).await?.build())
}
