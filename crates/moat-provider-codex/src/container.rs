//! What the grants put into a container, whichever program runs there.

use moat_provider_core::{
    ContainerMounts, ContainerPath, CredentialInfo, EnvVar, Error, Result, RunContext, StagedFile,
};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::grant::ACCOUNT;
use crate::token::Kind;

/// The variable in which programs look for an API key. Codex itself does not (0.169.0).
pub(crate) const API_KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The directory of Codex, below the home directory.
pub(crate) const DIRECTORY: &str = ".codex";

/// Whether Codex works with the key: without a login, or because the person made the key the
/// default.
pub(crate) fn is_key_used(run: &RunContext) -> bool {
    match (Kind::ChatGpt.grant_of(run), Kind::ApiKey.grant_of(run)) {
        (Some(_), Some(key)) => run.is_default(key.key()),
        (login, key) => login.is_none() && key.is_some(),
    }
}

/// Returns the variables of an API key.
pub(crate) fn key_env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    let variable = |info: &&CredentialInfo| {
        let placeholder = Kind::ApiKey.placeholder(info, run)?;
        EnvVar::new(API_KEY_VARIABLE, placeholder.as_str())
    };
    credentials.first().map(variable).into_iter().collect()
}

/// Returns the login that Codex finds, unless it is to work with a key.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when it is not known
/// which account it is for.
pub(crate) fn login(credentials: &[&CredentialInfo], run: &RunContext) -> Result<ContainerMounts> {
    let mut mounts = ContainerMounts::default();
    let Some(info) = credentials.first().filter(|_| !is_key_used(run)) else {
        return Ok(mounts);
    };
    let account = info.metadata(ACCOUNT).ok_or_else(|| {
        Error::invalid(format!("it is not known which account {} is for", info.key()))
            .with_hint(format!("moat grant {}", info.key()))
    })?;
    let placeholder = Kind::ChatGpt.placeholder(info, run)?;
    // Whatever the time is, the placeholder says that it is good for long. Without a time Codex does
    // not use the file (0.169.0).
    let since = info.created_at().format(&Rfc3339).map_err(|_| {
        Error::invalid("the time of the grant is beyond year 9999").with_hint("moat grant codex")
    })?;
    let contents = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": placeholder.as_str(),
            "access_token": placeholder.as_str(),
            "refresh_token": placeholder.as_str(),
            "account_id": account,
        },
        "last_refresh": since,
    });
    mounts.files.push(StagedFile::new(path(run)?, text(&contents)));
    Ok(mounts)
}

/// Returns the same file with a key: Codex takes none from the environment.
pub(crate) fn key_file(run: &RunContext) -> Result<Option<StagedFile>> {
    let Some(info) = Kind::ApiKey.grant_of(run).filter(|_| is_key_used(run)) else {
        return Ok(None);
    };
    let placeholder = Kind::ApiKey.placeholder(info, run)?;
    let contents = json!({ "auth_mode": "apikey", "OPENAI_API_KEY": placeholder.as_str() });
    Ok(Some(StagedFile::new(path(run)?, text(&contents))))
}

fn path(run: &RunContext) -> Result<ContainerPath> {
    run.home().join(&format!("{DIRECTORY}/auth.json"))
}

fn text(contents: &Value) -> String {
    format!("{contents:#}\n")
}
