//! The login of Gemini CLI on this machine.
//!
//! Its refresh token belongs to that program (law L14), so it is neither read nor used: what is
//! taken is the access token, which lives for an hour, and the next one when Gemini CLI has it.

use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantRequest, HostContext, HostDir, HostFile,
    Result, Secret,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::{FROM_IMPORT, checked, tell};
use crate::kind::{Kind, check_form};

/// What Gemini CLI keeps of a login.
pub(crate) struct Login {
    pub(crate) access: Secret,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Names the file: in the directory that `GEMINI_CLI_HOME` moves, else in the home directory.
fn file() -> HostFile {
    HostFile::new("gemini/oauth_creds.json")
        .at(HostDir::Variable("GEMINI_CLI_HOME"), ".gemini/oauth_creds.json")
        .at(HostDir::Home, ".gemini/oauth_creds.json")
}

/// Reads the login, if there is one.
///
/// # Errors
///
/// Those of the port, and [`ErrorKind::InvalidInput`] for a file that is no login.
pub(crate) async fn look(cx: &HostContext) -> Result<Option<Login>> {
    match cx.files().read(&file()).await {
        Ok(Some(text)) => read(&text).map(Some),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "the file is parsed, and its token is one again")]
fn read(file: &Secret) -> Result<Login> {
    let mut login: Value = serde_json::from_str(file.expose()).unwrap_or_default();
    let access = match login["access_token"].take() {
        Value::String(token) if !token.trim().is_empty() => Secret::new(token),
        _ => {
            return Err(Error::invalid("the login of Gemini CLI is not understood")
                .with_hint("run gemini once and log in"));
        }
    };
    let milliseconds = login["expiry_date"].as_i64().filter(|at| *at > 0);
    let expires_at =
        milliseconds.and_then(|at| OffsetDateTime::from_unix_timestamp(at / 1000).ok());
    Ok(Login { access, expires_at })
}

pub(super) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let login = look(cx.host()).await.map_err(|error| match error.kind() {
        ErrorKind::Io => error.with_hint("check the permissions of ~/.gemini/oauth_creds.json"),
        _ => error,
    })?;
    let login = login.ok_or_else(|| {
        Error::new(ErrorKind::CredentialNotFound, "Gemini CLI has no login on this machine")
            .with_hint("run gemini once and log in, or choose another --source")
    })?;
    if login.expires_at.is_some_and(|expiry| expiry <= cx.host().clock().now()) {
        return Err(Error::new(
            ErrorKind::CredentialExpired,
            "the access token of Gemini CLI's login has expired",
        )
        .with_hint("run gemini once, which renews it"));
    }
    check_form(Kind::OAuth, &login.access, "the token of Gemini CLI's login")?;
    tell(
        cx,
        "This login is Gemini CLI's: it is followed as long as that program renews it, about once \
         an hour while it runs.",
    )
    .await;
    let credential = checked(cx, request, Kind::OAuth, login.access, FROM_IMPORT).await?;
    Ok(credential.expires_at(login.expires_at).build())
}
