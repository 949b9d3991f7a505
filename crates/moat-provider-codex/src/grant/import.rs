//! The login that Codex keeps on this machine.

use moat_provider_core::{Error, ErrorKind, GrantContext, HostDir, HostFile, Result, Secret};
use serde_json::Value;
use time::OffsetDateTime;

use crate::jwt::{self, plain_word};

/// The variable that moves Codex's directory.
pub(crate) const CODEX_HOME: &str = "CODEX_HOME";

/// What is taken of a login.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) token: Secret,
    pub(crate) account: String,
    pub(crate) plan: Option<String>,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl Import {
    pub(crate) fn is_over(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}

fn file() -> HostFile {
    HostFile::new("codex/auth.json")
        .at(HostDir::Variable(CODEX_HOME), "auth.json")
        .at(HostDir::Home, ".codex/auth.json")
}

/// Looks for a login; a key in the same file is none.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when what is there is not understood, and those of the port.
pub(crate) async fn find(cx: &GrantContext) -> Result<Option<Import>> {
    match cx.host().files().read(&file()).await {
        Ok(Some(document)) => read(&document),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error.with_hint("look at the permissions of auth.json")),
    }
}

/// Reads the document, whose refresh token is not looked at.
#[expect(clippy::disallowed_methods, reason = "the token in it becomes a secret again")]
fn read(document: &Secret) -> Result<Option<Import>> {
    let document: Value = serde_json::from_str(document.expose()).map_err(|_| malformed())?;
    let tokens = &document["tokens"];
    if tokens.is_null() && document.is_object() {
        return Ok(None);
    }
    let token = tokens["access_token"].as_str().ok_or_else(malformed)?;
    let token = Secret::new(token.to_owned());
    let claims = jwt::claims(&token);
    let account = plain_word(&tokens["account_id"]).or(claims.account).ok_or_else(malformed)?;
    Ok(Some(Import { token, account, plan: claims.plan, expires_at: claims.expires_at }))
}

fn malformed() -> Error {
    Error::invalid("the login of Codex is not understood")
        .with_hint("run codex login, or choose another --source")
}
