//! How to end a grant at AWS.

use moat_provider_core::{Credential, CredentialInfo, Error, ErrorKind, Revocation};

use crate::settings::ROLE;
use crate::source::{FROM_ENVIRONMENT, KEY_ID};

/// Says what to do by hand: AWS has no call that ends one session.
pub(crate) fn revocation(info: &CredentialInfo) -> Revocation {
    Revocation::Manual { instructions: instructions(info) }
}

/// Returns the error of a revocation that nobody can automate.
pub(crate) fn unsupported(info: &CredentialInfo) -> Error {
    Error::new(ErrorKind::Unsupported, "AWS has no call that revokes a grant of a role")
        .with_hint(instructions(info))
}

fn instructions(info: &CredentialInfo) -> String {
    let role = info.metadata(ROLE).and_then(|arn| arn.rsplit('/').next()).unwrap_or("the role");
    let keys = match (info.metadata(Credential::TOKEN_SOURCE), info.metadata(KEY_ID)) {
        (Some(FROM_ENVIRONMENT), Some(id)) => {
            format!(
                "; to end the key that assumed it: aws iam update-access-key --status Inactive --access-key-id {id}"
            )
        }
        _ => String::new(),
    };
    format!(
        "sessions end by themselves; to end those of the role at once, open it in the IAM console \
         and choose \"Revoke active sessions\": {role}{keys}"
    )
}
