//! Names, grant references, credential keys, run ids.

use moat_provider_core::{CredentialKey, ErrorKind, GrantRef, ProviderName, RunId, SecretName};
use proptest::prelude::*;

#[test]
fn provider_names_are_lower_case_words() {
    for good in ["a", "github", "gitlab-2", "0x0", &"a".repeat(64)] {
        assert_eq!(good.parse::<ProviderName>().unwrap().as_str(), good);
    }
    for bad in ["", "-a", "GitHub", "git_hub", "a.b", "ä", "a b", "a:b", &"a".repeat(65)] {
        let error = bad.parse::<ProviderName>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        assert!(error.message().contains(&format!("{bad:?}")), "{error}");
    }
}

#[test]
fn a_grant_is_a_name_and_perhaps_a_qualifier() {
    let grant: GrantRef = "aws:prod".parse().unwrap();
    assert_eq!((grant.name(), grant.qualifier()), ("aws", Some("prod")));
    let grant: GrantRef = "github:ghe.example.com:8443".parse().unwrap();
    assert_eq!(grant.qualifier(), Some("ghe.example.com:8443"));
    assert_eq!("github".parse::<GrantRef>().unwrap().qualifier(), None);
}

#[test]
fn odd_grants_are_errors() {
    let long = format!("a:{}", "b".repeat(254));
    for bad in
        ["", ":", "a:", ":b", " a", "a: b", "a:b/c", "a:..", "a:b..c", "a:-b", "a:b\n", &long]
    {
        assert!(bad.parse::<GrantRef>().is_err(), "{bad:?} was taken");
        assert!(bad.parse::<CredentialKey>().is_err(), "{bad:?} was taken");
    }
}

#[test]
fn secret_names_and_run_ids() {
    assert_eq!("registry.0".parse::<SecretName>().unwrap().as_str(), "registry.0");
    assert!("".parse::<SecretName>().is_err());
    assert!("a b".parse::<SecretName>().is_err());
    assert_eq!("run-1".parse::<RunId>().unwrap().as_str(), "run-1");
    for bad in ["", "-a", "A", "a_b", &"a".repeat(41)] {
        assert!(bad.parse::<RunId>().is_err(), "{bad:?} was taken");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_prints_as_it_was(text in "\\PC{0,20}|[a-z0-9-]{1,8}(:[a-zA-Z0-9._:@-]{1,12})?") {
        if let Ok(grant) = text.parse::<GrantRef>() {
            prop_assert_eq!(grant.to_string(), &text[..]);
            let key: CredentialKey = text.parse().unwrap();
            prop_assert_eq!(key.to_string(), &text[..]);
            prop_assert_eq!(key.provider().as_str(), grant.name());
            prop_assert_eq!(key.qualifier(), grant.qualifier());
        }
    }

    #[test]
    fn a_key_is_safe_in_a_file_name(text in "[a-z:./\\\\-]{1,12}") {
        if let Ok(key) = text.parse::<CredentialKey>() {
            let shown = key.to_string();
            prop_assert!(!shown.contains(['/', '\\']) && !shown.contains("..") && !shown.starts_with('.'));
        }
    }
}
