//! Records of earlier versions.

use moat_provider_codex::OpenAi;
use moat_provider_core::{CredentialProvider, CredentialRecord, ErrorKind, Result};
use moat_provider_testkit::Canary;
use serde_json::json;

use crate::support::{access_token, api_key};

fn upgraded(token: &Canary) -> Result<CredentialRecord> {
    let json = json!({
        "provider": "openai",
        "token": format!(" {}\n", token.text()),
        "expires_at": "0001-01-01T00:00:00Z",
        "created_at": "2026-11-01T00:00:00Z",
    });
    let mut record = CredentialRecord::from_json(json.to_string().as_bytes()).unwrap();
    OpenAi::new().upgrade_record(&mut record)?;
    Ok(record)
}

#[test]
fn a_key_of_the_go_moat_is_taken_over() {
    let key = api_key();
    let credential = upgraded(&key).unwrap().into_credential().unwrap();
    assert!(credential.token().same_as(&key.secret()));
    assert_eq!(credential.info().expires_at(), None);

    let error = upgraded(&access_token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.hint(), Some("moat grant codex"));
}
