//! Records of earlier versions.

use moat_provider_claude::{Anthropic, Claude};
use moat_provider_core::{CredentialProvider, CredentialRecord, ErrorKind};
use serde_json::json;

use crate::support::{KEY_PREFIX, OAUTH_PREFIX, token};

fn record(provider: &str, token: &str) -> CredentialRecord {
    let json = json!({
        "provider": provider,
        "token": token,
        "expires_at": "0001-01-01T00:00:00Z",
        "created_at": "2026-11-01T00:00:00Z",
        "metadata": {"claude_subscription_type": "pro"},
    });
    CredentialRecord::from_json(json.to_string().as_bytes()).unwrap()
}

#[test]
fn a_record_of_the_go_moat_is_taken_over() {
    let canary = token(OAUTH_PREFIX);
    let mut record = record("claude", &format!("{}\n", canary.text()));
    Claude::new().upgrade_record(&mut record).unwrap();
    let credential = record.into_credential().unwrap();
    assert!(credential.token().same_as(&canary.secret()));
    assert_eq!(credential.info().expires_at(), None);
    assert_eq!(credential.info().metadata("claude_subscription_type"), Some("pro"));
}

/// The Go moat took a token for a key, because both begin with `sk-ant-`.
#[test]
fn a_credential_under_the_wrong_name_says_which_grant_is_meant() {
    let anthropic = Anthropic::new();
    let mut key = record("anthropic", token(KEY_PREFIX).text());
    anthropic.upgrade_record(&mut key).unwrap();
    let mut wrong = record("anthropic", token(OAUTH_PREFIX).text());
    let error = anthropic.upgrade_record(&mut wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.hint(), Some("moat grant claude"));
    let mut wrong = record("claude", token(KEY_PREFIX).text());
    let error = Claude::new().upgrade_record(&mut wrong).unwrap_err();
    assert_eq!(error.hint(), Some("moat grant anthropic"));
}
