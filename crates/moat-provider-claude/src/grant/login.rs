//! The login that Claude Code keeps on this machine.

use moat_provider_core::{
    CommandSpec, Error, ErrorKind, GrantContext, HostDir, HostFile, Result, Secret,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// The variable that moves Claude Code's directory.
const CONFIG_DIR: &str = "CLAUDE_CONFIG_DIR";
/// The name of the entry in the keychain of macOS.
const SERVICE: &str = "Claude Code-credentials";

/// What is taken of a login. Its refresh token is not: it can be used once only, and belongs to
/// Claude Code.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) token: Secret,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) scopes: Vec<String>,
    pub(crate) subscription_type: Option<String>,
    pub(crate) rate_limit_tier: Option<String>,
}

fn file() -> HostFile {
    HostFile::new("claude/.credentials.json")
        .at(HostDir::Variable(CONFIG_DIR), ".credentials.json")
        .at(HostDir::Home, ".claude/.credentials.json")
}

/// Looks for a login: in the keychain of macOS, then in the file that other systems have.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when what is there is not understood, and those of the ports.
pub(crate) async fn find(cx: &GrantContext) -> Result<Option<Login>> {
    if let Some(document) = keychain(cx).await? {
        return read(&document).map(Some);
    }
    match cx.host().files().read(&file()).await {
        Ok(Some(document)) => read(&document).map(Some),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error.with_hint("look at the permissions of .credentials.json")),
    }
}

/// Asks the keychain; there is none where there is no `security`, as on Linux.
async fn keychain(cx: &GrantContext) -> Result<Option<Secret>> {
    let service = service(cx)?;
    let command =
        CommandSpec::new("security").args(["find-generic-password", "-s", service.as_str(), "-w"]);
    match cx.host().commands().run(&command).await {
        Ok(output) if output.succeeded() => {
            Ok(Some(output.stdout.trimmed()).filter(|document| !document.is_empty()))
        }
        Ok(_) => Ok(None),
        Err(error)
            if matches!(error.kind(), ErrorKind::CommandNotFound | ErrorKind::PortMissing) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.with_hint("unlock the keychain, or choose another --source")),
    }
}

/// A directory of one's own has an entry of its own: the first eight hex digits of its SHA-256.
///
/// Claude Code normalizes the directory to NFC before; names that need it are not found.
fn service(cx: &GrantContext) -> Result<String> {
    let directory = match cx.first_var(&[CONFIG_DIR]) {
        Ok(directory) => directory,
        Err(error) if error.kind() == ErrorKind::PortMissing => None,
        Err(error) => return Err(error),
    };
    Ok(match directory {
        Some((_, directory)) => format!("{SERVICE}-{}", short_hash(&directory)),
        None => SERVICE.to_owned(),
    })
}

#[expect(clippy::disallowed_methods, reason = "a directory's name, of which a hash is shown")]
fn short_hash(directory: &Secret) -> String {
    let hash = Sha256::digest(directory.expose().as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the document, which holds other programs' logins as well: of it all only four members are
/// looked at, and the document goes nowhere.
#[expect(clippy::disallowed_methods, reason = "the token in it becomes a secret again")]
fn read(document: &Secret) -> Result<Login> {
    let document: Value = serde_json::from_str(document.expose()).map_err(|_| malformed())?;
    let login = document.get("claudeAiOauth").and_then(Value::as_object).ok_or_else(malformed)?;
    let token = login.get("accessToken").and_then(Value::as_str).ok_or_else(malformed)?;
    let scopes = login.get("scopes").and_then(Value::as_array).into_iter().flatten();
    Ok(Login {
        token: Secret::new(token.to_owned()),
        expires_at: expiry(login),
        scopes: scopes.filter_map(|scope| plain_word(Some(scope))).collect(),
        subscription_type: plain_word(login.get("subscriptionType")),
        rate_limit_tier: plain_word(login.get("rateLimitTier")),
    })
}

/// Milliseconds since 1970; none, or 0, is not a time in 1970.
fn expiry(login: &Map<String, Value>) -> Option<OffsetDateTime> {
    let milliseconds = login.get("expiresAt")?.as_i64().filter(|at| *at > 0)?;
    OffsetDateTime::from_unix_timestamp(milliseconds / 1000).ok()
}

fn plain_word(value: Option<&Value>) -> Option<String> {
    let word = value?.as_str()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
    ((1..=64).contains(&word.len()) && word.bytes().all(allowed)).then(|| word.to_owned())
}

fn malformed() -> Error {
    Error::invalid("the login of Claude Code is not understood")
        .with_hint("run claude once, or choose another --source")
}
