//! Records of the Go moat.

use moat_provider_aws::Aws;
use moat_provider_core::{CredentialProvider, CredentialRecord, Error};
use serde_json::{Value, json};

use crate::support::table;

fn upgraded(record: &Value) -> Result<Value, Error> {
    let mut record = CredentialRecord::from_json(record.to_string().as_bytes()).unwrap();
    Aws::new().upgrade_record(&mut record)?;
    let once = serde_json::to_value(&record).unwrap();
    Aws::new().upgrade_record(&mut record)?;
    assert_eq!(once, serde_json::to_value(&record).unwrap(), "twice is once");
    Ok(once)
}

#[test]
fn the_arn_moves_and_the_rest_is_kept() {
    for case in table(include_str!("../data/records.json")) {
        let name = case["case"].as_str().unwrap();
        let mut record = case["record"].clone();
        record["provider"] = "aws".into();
        record["created_at"] = "2026-08-01T00:00:00Z".into();
        match (upgraded(&record), case["metadata"].as_object()) {
            (Ok(record), Some(expected)) => {
                assert_eq!(record["metadata"], json!(expected), "{name}");
                let token = record["token"].as_str().unwrap();
                assert!(token.starts_with("none-") && !token.contains("arn"), "{name}: {token}");
            }
            (Err(error), None) => {
                let part = case["error"].as_str().unwrap();
                assert!(error.message().contains(part), "{name}: {error}");
            }
            (upgraded, _) => panic!("{name}: {upgraded:?}"),
        }
    }
}
