//! What a check of the machine has to say of roles.

use moat_provider_core::{Credential, CredentialInfo, Diagnosis, GrantContext};

use crate::settings::{Mode, PROFILE, Settings};
use crate::source::{self, FROM_ENVIRONMENT};

/// Says of each role how it is used and how far it reaches, and whether its keys can be read.
pub(crate) async fn diagnose(cx: &GrantContext, credentials: &[CredentialInfo]) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for info in credentials {
        found.push(role(info));
        found.push(keys(cx, info).await);
    }
    found
}

fn role(info: &CredentialInfo) -> Diagnosis {
    let key = info.key();
    let settings = match Settings::of(info) {
        Ok(settings) => settings,
        Err(error) => {
            let fix = error.hint().map_or_else(|| format!("moat grant {key}"), str::to_owned);
            return Diagnosis::bad(key.to_string(), error.to_string(), fix);
        }
    };
    let how = match settings.mode {
        Mode::Signing => "requests are signed anew",
        Mode::Endpoint => "sandboxes hold keys of the session",
    };
    let limits: Vec<_> = ["services", "regions", "buckets"]
        .into_iter()
        .zip(settings.limits.lists())
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    let reach = match (limits.is_empty(), settings.policy.is_some(), settings.policy_arns.len()) {
        (true, false, 0) => "whatever the role may do".to_owned(),
        (true, ..) => "what the session policy allows".to_owned(),
        (false, ..) => limits.join("; "),
    };
    Diagnosis::good(
        key.to_string(),
        format!("{} in {}: {how}, for {reach}", settings.role, settings.region),
    )
}

/// Looks at where the keys that assume the role come from. The profile's program is not run.
async fn keys(cx: &GrantContext, info: &CredentialInfo) -> Diagnosis {
    let subject = format!("{} keys", info.key());
    if info.metadata(Credential::TOKEN_SOURCE) == Some(FROM_ENVIRONMENT) {
        return Diagnosis::good(subject, "stored with the grant");
    }
    let name = info.metadata(PROFILE).unwrap_or("default");
    match source::origin(cx.host(), name).await {
        Ok(origin) => Diagnosis::good(subject, format!("those of the profile {name} {origin}")),
        Err(error) => {
            let fix =
                error.hint().map_or_else(|| format!("moat grant {}", info.key()), str::to_owned);
            Diagnosis::bad(subject, error.to_string(), fix)
        }
    }
}
