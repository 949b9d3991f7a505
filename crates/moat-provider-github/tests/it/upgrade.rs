//! Records of earlier versions.

use moat_provider_core::{CredentialProvider, CredentialRecord, ErrorKind};
use moat_provider_github::GitHub;
use serde_json::json;

use crate::support::token;

fn record(provider: &str, token: &str, metadata: &serde_json::Value) -> CredentialRecord {
    let json = json!({
        "provider": provider,
        "token": token,
        "expires_at": "0001-01-01T00:00:00Z",
        "created_at": "2026-11-01T00:00:00Z",
        "metadata": metadata,
    });
    CredentialRecord::from_json(json.to_string().as_bytes()).unwrap()
}

#[test]
fn a_record_of_the_go_moat_gets_what_it_lacks() {
    for (source, prefix, source_now, kind) in [
        ("pat", "github_pat_", "prompt", "fine-grained"),
        ("cli", "gho_", "cli", "oauth"),
        ("env", "ghs_", "env", "installation"),
    ] {
        let canary = token(prefix);
        let text = format!("{}\n", canary.text());
        let mut record = record("github", &text, &json!({"token_source": source}));
        GitHub::new().upgrade_record(&mut record).unwrap();
        let once = format!("{:?}", record.metadata());
        GitHub::new().upgrade_record(&mut record).unwrap();
        assert_eq!(format!("{:?}", record.metadata()), once);
        let credential = record.into_credential().unwrap();
        assert!(credential.token().same_as(&canary.secret()));
        let info = credential.info();
        assert_eq!(info.metadata("token_source"), Some(source_now));
        assert_eq!(info.metadata("token_kind"), Some(kind));
        assert_eq!(info.metadata("host"), Some("github.com"));
        assert_eq!(info.expires_at(), None);
    }
}

#[test]
fn what_is_known_stays() {
    let canary = token("ghp_");
    let metadata = json!({"token_kind": "installation", "login": "octocat"});
    let mut record = record("github:ghe.example.com", canary.text(), &metadata);
    GitHub::new().upgrade_record(&mut record).unwrap();
    assert_eq!(record.metadata()["token_kind"], "installation");
    assert_eq!(record.metadata()["host"], "ghe.example.com");
    assert!(!record.metadata().contains_key("token_source"));
}

#[test]
fn a_record_of_no_github_is_refused() {
    let canary = token("ghp_");
    let mut record = record("github:192.0.2.1", canary.text(), &json!({}));
    let error = GitHub::new().upgrade_record(&mut record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
