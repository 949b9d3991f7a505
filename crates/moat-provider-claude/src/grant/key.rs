//! The grant of an API key.

use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantOption, GrantRequest, Result, Secret,
};

use super::{FROM_ENVIRONMENT, FROM_PERSON, SOURCE, source_option, tell, unattended};
use crate::api;
use crate::token::{Kind, rejoined};

const VARIABLE: &str = "ANTHROPIC_API_KEY";
const GUIDANCE: &str = "Make a key of its own for the agent, with a limit on what it may spend:\n  \
                        https://platform.claude.com/settings/keys";

/// Returns the flags of the grant.
pub(crate) fn options() -> Vec<GrantOption> {
    source_option(
        ["auto", "env", "prompt"],
        "where the key comes from: ANTHROPIC_API_KEY or a prompt; auto tries them in this order",
    )
}

/// Acquires a key and asks the API whether it is valid.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let (key, source) = match request.option(SOURCE) {
        Some("env") => (require_environment(cx)?, FROM_ENVIRONMENT),
        Some("prompt") => (ask(cx).await?, FROM_PERSON),
        _ => match look_into_environment(cx)? {
            Some(key) => (key, FROM_ENVIRONMENT),
            None => (ask(cx).await?, FROM_PERSON),
        },
    };
    let what = match source {
        FROM_ENVIRONMENT => "the value of ANTHROPIC_API_KEY",
        _ => "what was given",
    };
    Kind::ApiKey.check_form(&key, what)?;
    if source == FROM_ENVIRONMENT {
        tell(cx, "Using the key in ANTHROPIC_API_KEY.").await;
    }
    api::check(cx.host(), Kind::ApiKey, &key).await?;
    let now = cx.host().clock().now();
    Ok(Credential::builder(request.key().clone(), key, now)
        .metadata(Credential::TOKEN_SOURCE, source)
        .build())
}

fn environment(cx: &GrantContext) -> Result<Option<Secret>> {
    Ok(cx.first_var(&[VARIABLE])?.map(|(_, key)| key))
}

fn look_into_environment(cx: &GrantContext) -> Result<Option<Secret>> {
    match environment(cx) {
        // An embedder that gives no environment has no key in it.
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        found => found,
    }
}

fn require_environment(cx: &GrantContext) -> Result<Secret> {
    environment(cx)?.ok_or_else(|| {
        Error::new(ErrorKind::CredentialNotFound, format!("{VARIABLE} is not set"))
            .with_hint(format!("export {VARIABLE}, or choose another --{SOURCE}"))
    })
}

async fn ask(cx: &GrantContext) -> Result<Secret> {
    tell(cx, GUIDANCE).await;
    let asked = cx.terminal().ask_secret("API key").await;
    let key = asked.map_err(|error| {
        unattended(error, "nobody is there to give a key", "export ANTHROPIC_API_KEY")
    })?;
    let key = rejoined(&key);
    if key.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no key was given")
            .with_hint("moat grant anthropic"));
    }
    Ok(key)
}
