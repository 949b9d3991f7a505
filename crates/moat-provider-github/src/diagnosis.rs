//! What a check of the machine has to say of tokens.

use moat_provider_core::{CredentialInfo, Diagnosis};

use crate::grant::LOGIN;
use crate::token::TokenKind;

/// Says of each token what it is, and what would be better.
pub(crate) fn diagnose(credentials: &[CredentialInfo]) -> Vec<Diagnosis> {
    credentials.iter().map(token).collect()
}

fn token(info: &CredentialInfo) -> Diagnosis {
    let (key, kind) = (info.key(), TokenKind::recorded(info));
    let title = match info.metadata(LOGIN) {
        Some(login) => format!("{} of {login}", kind.title()),
        None => kind.title().to_owned(),
    };
    match (kind, info.expires_at()) {
        // GitHub docs, "Managing your personal access tokens": a classic one reaches every
        // repository of its owner.
        (TokenKind::Classic, _) => Diagnosis::warning(
            key.to_string(),
            format!("{title}: it reaches every repository that its owner does"),
            format!("make a fine-grained token for the agent, then: moat grant {key}"),
        ),
        (TokenKind::FineGrained, None) => {
            Diagnosis::good(key.to_string(), format!("{title}, without an end"))
        }
        _ => Diagnosis::good(key.to_string(), title),
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{Credential, Finding, Secret};
    use time::OffsetDateTime;

    use super::*;
    use crate::token::TOKEN_KIND;

    fn found(kind: &str) -> Diagnosis {
        let (token, now) = (Secret::new("x".to_owned()), OffsetDateTime::UNIX_EPOCH);
        let credential = Credential::builder("github".parse().unwrap(), token, now)
            .metadata(TOKEN_KIND, kind)
            .metadata(LOGIN, "octocat");
        let mut all = diagnose(&[credential.build().info().clone()]);
        all.pop().unwrap()
    }

    #[test]
    fn a_token_that_reaches_everything_is_mentioned() {
        assert_eq!(found("classic").finding(), Finding::Warning);
        assert!(found("classic").fix().unwrap().contains("moat grant github"));
        assert_eq!(found("fine-grained").finding(), Finding::Good);
        assert_eq!(found("oauth").detail(), "OAuth token of octocat");
    }
}
