//! Ending a credential at Anthropic, which a person does on a page.

use moat_provider_core::{Credential, CredentialInfo, Error, ErrorKind, Result, Revocation};

use crate::grant::{FROM_ENVIRONMENT, FROM_LOGIN};
use crate::token::Kind;

/// Says how a credential is ended.
pub(crate) fn revocation(kind: Kind, info: &CredentialInfo) -> Revocation {
    Revocation::Manual { instructions: instructions(kind, info) }
}

fn instructions(kind: Kind, info: &CredentialInfo) -> String {
    let source = info.metadata(Credential::TOKEN_SOURCE);
    let place = match (kind, source) {
        (Kind::OAuth, Some(FROM_LOGIN)) => {
            return "log out of Claude Code on this machine: claude auth logout".to_owned();
        }
        (Kind::OAuth, _) => "remove the authorization at https://claude.ai/settings/claude-code",
        (Kind::ApiKey, _) => "delete the key at https://platform.claude.com/settings/keys",
    };
    let shared = match (kind, source) {
        (Kind::OAuth, Some(FROM_ENVIRONMENT)) => {
            "; every program that takes it from CLAUDE_CODE_OAUTH_TOKEN loses it as well"
        }
        (Kind::ApiKey, Some(FROM_ENVIRONMENT)) => {
            "; every program that takes it from ANTHROPIC_API_KEY loses it as well"
        }
        _ => "",
    };
    format!("{place}{shared}")
}

/// Refuses: there is no API for it.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] with the way to do it by hand.
pub(crate) fn refuse(kind: Kind, info: &CredentialInfo) -> Result<()> {
    let what = match kind {
        Kind::OAuth => "tokens of subscriptions",
        Kind::ApiKey => "API keys",
    };
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("Anthropic has no way for programs to end {what}"),
    )
    .with_hint(instructions(kind, info)))
}
