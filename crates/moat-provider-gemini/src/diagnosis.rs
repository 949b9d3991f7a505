//! What a check of the machine has to say of keys and logins.

use moat_provider_core::{Credential, CredentialInfo, Diagnosis};

use crate::grant::FROM_IMPORT;
use crate::kind::Kind;
use crate::refresh;

/// Says of each credential what it is, and who renews it.
pub(crate) fn diagnose(credentials: &[CredentialInfo]) -> Vec<Diagnosis> {
    credentials.iter().map(credential).collect()
}

fn credential(info: &CredentialInfo) -> Diagnosis {
    let key = info.key();
    let is_import = info.metadata(Credential::TOKEN_SOURCE) == Some(FROM_IMPORT);
    match (Kind::of(info), is_import, refresh::is_possible(info)) {
        (Kind::ApiKey, ..) => Diagnosis::good(key.to_string(), "an API key"),
        (Kind::OAuth, true, _) => Diagnosis::good(
            key.to_string(),
            "Gemini CLI's own login: its next token is taken over when Gemini CLI has renewed it",
        ),
        (Kind::OAuth, false, true) => Diagnosis::good(key.to_string(), "a Google login of its own"),
        (Kind::OAuth, false, false) => Diagnosis::warning(
            key.to_string(),
            "a Google login that cannot be renewed: it ends within the hour",
            format!("moat grant {key}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{Finding, Secret};
    use time::OffsetDateTime;

    use super::*;
    use crate::grant::{FROM_ENVIRONMENT, FROM_LOGIN};
    use crate::kind::AUTH_TYPE;

    #[test]
    fn a_login_that_ends_soon_is_mentioned() {
        for (kind, source, finding) in [
            (Kind::ApiKey, FROM_ENVIRONMENT, Finding::Good),
            (Kind::OAuth, FROM_IMPORT, Finding::Good),
            // Nothing to renew it with is stored.
            (Kind::OAuth, FROM_LOGIN, Finding::Warning),
        ] {
            let (token, now) = (Secret::new("x".to_owned()), OffsetDateTime::UNIX_EPOCH);
            let mut granted = Credential::builder("gemini".parse().unwrap(), token, now)
                .metadata(Credential::TOKEN_SOURCE, source);
            if let Some(name) = kind.auth_type() {
                granted = granted.metadata(AUTH_TYPE, name);
            }
            let found = diagnose(&[granted.build().info().clone()]);
            assert_eq!(found[0].finding(), finding, "{found:?}");
        }
    }
}
