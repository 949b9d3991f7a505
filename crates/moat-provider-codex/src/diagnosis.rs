//! What a check of the machine has to say of logins and keys.

use moat_provider_core::{Credential, CredentialInfo, Diagnosis};

use crate::grant::{FROM_IMPORT, PLAN};
use crate::refresh;
use crate::token::Kind;

/// Says of each credential what it is, and for how long that lasts.
pub(crate) fn diagnose(kind: Kind, credentials: &[CredentialInfo]) -> Vec<Diagnosis> {
    credentials.iter().map(|info| credential(kind, info)).collect()
}

fn credential(kind: Kind, info: &CredentialInfo) -> Diagnosis {
    let key = info.key();
    let plan = info.metadata(PLAN).map(|plan| format!(" ({plan})")).unwrap_or_default();
    match (kind, info.metadata(Credential::TOKEN_SOURCE)) {
        (Kind::ApiKey, _) => Diagnosis::good(key.to_string(), "an API key"),
        (Kind::ChatGpt, Some(FROM_IMPORT)) => Diagnosis::warning(
            key.to_string(),
            format!("a copy of Codex's login{plan}: it ends with its token, and is not renewed"),
            format!("moat grant {key} --source device"),
        ),
        (Kind::ChatGpt, _) if refresh::is_possible(info) => {
            Diagnosis::good(key.to_string(), format!("a ChatGPT login of its own{plan}"))
        }
        (Kind::ChatGpt, _) => {
            Diagnosis::good(key.to_string(), format!("an access token of a ChatGPT account{plan}"))
        }
    }
}
