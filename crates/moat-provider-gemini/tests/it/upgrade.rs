//! Records of earlier versions.

use moat_provider_core::{Credential, CredentialProvider, CredentialRecord};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::Canary;
use serde_json::{Value, json};

use crate::support::{access_token, api_key, refresh_token};

fn upgraded(token: &Canary, metadata: Value) -> Credential {
    let json = json!({
        "provider": "gemini",
        "token": format!("{}\n", token.text()),
        "expires_at": "0001-01-01T00:00:00Z",
        "created_at": "2026-11-01T00:00:00Z",
        "metadata": metadata,
    });
    let mut record = CredentialRecord::from_json(json.to_string().as_bytes()).unwrap();
    Gemini::new().upgrade_record(&mut record).unwrap();
    record.into_credential().unwrap()
}

#[test]
fn records_of_the_go_moat_are_taken_over() {
    let key = api_key();
    let credential = upgraded(&key, json!({}));
    assert!(credential.token().same_as(&key.secret()));
    assert!(credential.info().all_metadata().is_empty());

    // The refresh token is that of Gemini CLI's own login: it leaves the record.
    let (token, refresh) = (access_token(), refresh_token());
    let metadata = json!({"auth_type": "oauth", "refresh_token": refresh.text()});
    let credential = upgraded(&token, metadata);
    assert!(credential.token().same_as(&token.secret()));
    assert_eq!(credential.info().metadata(Credential::TOKEN_SOURCE), Some("import"));
    assert_eq!(refresh.find_in_str(&format!("{:?}", credential.info())), None);
    assert_eq!(credential.secrets().names().count(), 1);
}
