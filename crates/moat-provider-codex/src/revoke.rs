//! Ending a credential at the vendor.

use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Result, Revocation, SecretName,
};

use crate::grant::{FROM_ENVIRONMENT, FROM_IMPORT};
use crate::token::Kind;
use crate::{login, refresh};

/// Says how a credential is ended.
pub(crate) fn revocation(kind: Kind, info: &CredentialInfo) -> Revocation {
    match kind {
        Kind::ChatGpt if refresh::is_possible(info) => Revocation::Automatic {
            effect: "ends this login alone; that of Codex on this machine goes on".to_owned(),
        },
        _ => Revocation::Manual { instructions: instructions(kind, info) },
    }
}

fn instructions(kind: Kind, info: &CredentialInfo) -> String {
    let source = info.metadata(Credential::TOKEN_SOURCE);
    let place = match (kind, source) {
        (Kind::ChatGpt, Some(FROM_IMPORT)) => {
            return "log out of Codex on this machine: codex logout".to_owned();
        }
        (Kind::ChatGpt, _) => "revoke the access token in ChatGPT's settings",
        (Kind::ApiKey, _) => "delete the key at https://platform.openai.com/api-keys",
    };
    let shared = match (kind, source) {
        (Kind::ChatGpt, Some(FROM_ENVIRONMENT)) => {
            "; every program that takes it from CODEX_ACCESS_TOKEN loses it as well"
        }
        (Kind::ApiKey, Some(FROM_ENVIRONMENT)) => {
            "; every program that takes it from OPENAI_API_KEY loses it as well"
        }
        _ => "",
    };
    format!("{place}{shared}")
}

/// Ends a login of its own; refuses where a person has to do it.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] with the way to do it by hand, and transient kinds.
pub(crate) async fn revoke(cx: &HostContext, kind: Kind, credential: &Credential) -> Result<()> {
    let info = credential.info();
    match credential.secrets().get(&SecretName::REFRESH_TOKEN) {
        Some(token) if kind == Kind::ChatGpt => login::revoke(cx, token).await,
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "OpenAI has no way for programs to end this credential",
        )
        .with_hint(instructions(kind, info))),
    }
}
