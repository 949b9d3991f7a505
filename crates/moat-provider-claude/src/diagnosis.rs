//! What a check of the machine has to say of subscriptions and keys.

use moat_provider_core::{Credential, CredentialInfo, Diagnosis};

use crate::grant::{FROM_LOGIN, FROM_SETUP_TOKEN, SUBSCRIPTION_TYPE};
use crate::token::Kind;

/// Says of each credential what it is, and for how long that lasts.
pub(crate) fn diagnose(kind: Kind, credentials: &[CredentialInfo]) -> Vec<Diagnosis> {
    credentials.iter().map(|info| credential(kind, info)).collect()
}

fn credential(kind: Kind, info: &CredentialInfo) -> Diagnosis {
    let key = info.key();
    let source = info.metadata(Credential::TOKEN_SOURCE);
    let plan = info.metadata(SUBSCRIPTION_TYPE).map(|plan| format!(" ({plan})"));
    let plan = plan.unwrap_or_default();
    match (kind, source) {
        (Kind::ApiKey, _) => Diagnosis::good(key.to_string(), "an API key"),
        (Kind::OAuth, Some(FROM_LOGIN)) => Diagnosis::warning(
            key.to_string(),
            format!(
                "a copy of Claude Code's login{plan}: it lives for hours, and is not renewed here"
            ),
            format!("moat grant {key} --source {FROM_SETUP_TOKEN}"),
        ),
        (Kind::OAuth, _) => {
            Diagnosis::good(key.to_string(), format!("a token of a subscription{plan}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{Finding, Secret};
    use time::OffsetDateTime;

    use super::*;
    use crate::grant::FROM_ENVIRONMENT;

    #[test]
    fn a_login_that_lives_for_hours_is_mentioned() {
        for (kind, source, finding) in [
            (Kind::OAuth, FROM_LOGIN, Finding::Warning),
            (Kind::OAuth, FROM_SETUP_TOKEN, Finding::Good),
            (Kind::ApiKey, FROM_ENVIRONMENT, Finding::Good),
        ] {
            let (token, now) = (Secret::new("x".to_owned()), OffsetDateTime::UNIX_EPOCH);
            let key = kind.provider().as_str().parse().unwrap();
            let granted = Credential::builder(key, token, now)
                .metadata(Credential::TOKEN_SOURCE, source)
                .build();
            let found = diagnose(kind, &[granted.info().clone()]);
            assert_eq!(found[0].finding(), finding, "{found:?}");
        }
    }
}
