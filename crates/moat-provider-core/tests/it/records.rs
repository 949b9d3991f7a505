//! The JSON form of credentials.

use std::collections::BTreeMap;

use moat_provider_core::{
    Credential, CredentialRecord, ErrorKind, LegacyCredential, Secret, SecretName,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::key;

const GO_ZERO: &str = "0001-01-01T00:00:00Z";

fn read(value: &Value) -> CredentialRecord {
    CredentialRecord::from_json(value.to_string().as_bytes()).unwrap()
}

fn write(credential: &Credential) -> Value {
    serde_json::to_value(CredentialRecord::from(credential)).unwrap()
}

#[test]
fn a_record_of_the_go_moat_reads() {
    let record = read(&json!({
        "provider": "oauth:notion",
        "token": "secret",
        "scopes": ["read"],
        "expires_at": GO_ZERO,
        "created_at": "2026-03-04T05:06:07.123456789+02:00",
        "metadata": {"refresh_token": "again", "client_id": "c"},
    }));
    assert_eq!(record.provider(), "oauth:notion");
    let mut record = record;
    record.lift_secret("refresh_token", SecretName::REFRESH_TOKEN);
    record.lift_secret("not there", SecretName::REFRESH_TOKEN);
    let credential = record.into_credential().unwrap();
    assert_eq!(credential.key(), &key("oauth:notion"));
    assert_eq!(credential.info().expires_at(), None);
    assert_eq!(credential.info().created_at().nanosecond(), 123_456_789);
    assert_eq!(credential.info().metadata("refresh_token"), None);
    assert_eq!(credential.info().metadata("client_id"), Some("c"));
    let again = credential.secrets().get(&SecretName::REFRESH_TOKEN).unwrap();
    assert!(again.same_as(&Secret::new("again".into())));
}

#[test]
fn what_is_empty_is_not_written() {
    let created = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    let bare = Credential::builder(key("github"), Secret::new("t".into()), created).build();
    assert_eq!(
        write(&bare),
        json!({"provider": "github", "token": "t", "created_at": "2023-11-14T22:13:20Z"})
    );
}

#[test]
fn unknown_fields_survive_and_null_is_absent() {
    let credential = read(&json!({
        "provider": "github", "token": "t", "created_at": GO_ZERO, "scopes": null,
        "metadata": null, "expires_at": null, "secrets": null,
        "later": {"deep": [1, null, "x"]}, "also": null,
    }))
    .into_credential()
    .unwrap();
    let renewed = credential.renew().token(Secret::new("u".into())).build();
    assert_eq!(
        write(&renewed),
        json!({
            "provider": "github", "token": "u", "created_at": GO_ZERO,
            "later": {"deep": [1, null, "x"]}, "also": null,
        })
    );
}

#[test]
fn damage_is_an_error_that_shows_nothing() {
    let t = "2026-03-04T05:06:07Z";
    for bad in [
        json!(null),
        json!([]),
        json!({"provider": "p", "token": "hunter2"}),
        json!({"provider": "p", "created_at": t}),
        json!({"token": "hunter2", "created_at": t}),
        json!({"provider": "p", "token": "hunter2", "created_at": "hunter2"}),
        json!({"provider": "p", "token": ["hunter2"], "created_at": t}),
        json!({"provider": "p", "token": "x", "created_at": t, "secrets": {"a b": "hunter2"}}),
        json!({"provider": "p", "token": "x", "created_at": t, "metadata": {"a": ["hunter2"]}}),
    ] {
        let error = CredentialRecord::from_json(bad.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let twice = json!({"provider": "p", "token": "a", "created_at": t, "secrets": {"token": "b"}});
    assert_eq!(read(&twice).into_credential().unwrap_err().kind(), ErrorKind::InvalidInput);
    let name = json!({"provider": "../p", "token": "a", "created_at": t});
    assert_eq!(read(&name).into_credential().unwrap_err().kind(), ErrorKind::InvalidInput);
}

struct Old;

impl LegacyCredential for Old {
    fn provider(&self) -> String {
        "github:ghe.example.com".into()
    }
    fn token(&self) -> Secret {
        Secret::new("old".into())
    }
    fn scopes(&self) -> Vec<String> {
        vec!["repo".into()]
    }
    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(2_000_000_000).ok()
    }
    fn created_at(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
    fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("login".into(), "octocat".into())])
    }
}

#[test]
fn another_representation_is_copied() {
    let credential = Credential::from_legacy(&Old).unwrap();
    let info = credential.info();
    assert_eq!(info.key(), &key("github:ghe.example.com"));
    assert_eq!(
        (info.scopes(), info.metadata("login")),
        (&["repo".to_owned()][..], Some("octocat"))
    );
    assert!(!info.is_expired(OffsetDateTime::UNIX_EPOCH));
    assert!(info.is_expired(info.expires_at().unwrap()));
    assert!(credential.token().same_as(&Secret::new("old".into())));
}

/// The years that RFC 3339 can write, in nanoseconds, with an offset in minutes.
fn instant() -> impl Strategy<Value = OffsetDateTime> {
    (-62_135_596_799_i64..253_402_300_799, 0_u32..1_000_000_000, -23 * 60..23 * 60).prop_map(
        |(seconds, nanos, offset)| {
            let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let utc = utc.replace_nanosecond(nanos).unwrap();
            let offset = time::UtcOffset::from_whole_seconds(offset * 60).unwrap();
            utc.checked_to_offset(offset).unwrap_or(utc)
        },
    )
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_survives_the_round_trip(
        provider in "[a-z0-9][a-z0-9-]{0,8}(:[a-zA-Z0-9][a-zA-Z0-9_@-]{0,8})?",
        token in "\\PC{0,64}|[\\x00-\\x7f]{0,32}",
        scopes in prop::collection::vec("\\PC{0,8}", 0..3),
        expires_at in prop::option::of(instant()),
        created_at in instant(),
        metadata in prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..3),
        secrets in prop::collection::btree_map("[!-~]{1,8}", "\\PC{0,16}", 0..3),
        unknown in prop::collection::btree_map("x_[a-z]{0,6}", json_value(), 0..3),
    ) {
        let mut fields = serde_json::Map::from_iter(unknown.clone());
        fields.extend([
            ("provider".into(), json!(provider)),
            ("token".into(), json!("first")),
            ("created_at".into(), json!(GO_ZERO)),
        ]);
        let first = read(&Value::Object(fields)).into_credential().unwrap();
        let mut builder = Credential::builder(provider.parse().unwrap(), Secret::new(token.clone()), created_at)
            .scopes(scopes.clone())
            .expires_at(expires_at);
        for (name, value) in &metadata {
            builder = builder.metadata(name, value);
        }
        for (name, value) in &secrets {
            if name != "token" {
                builder = builder.secret(name.parse().unwrap(), Secret::new(value.clone()));
            }
        }
        let credential = builder.build();
        let json = serde_json::to_vec(&CredentialRecord::from(&credential)).unwrap();
        let back = CredentialRecord::from_json(&json).unwrap().into_credential().unwrap();
        prop_assert_eq!(back.info(), credential.info());
        for (name, secret) in credential.secrets().iter() {
            prop_assert!(back.secrets().get(name).unwrap().same_as(secret));
        }
        // Unknown fields come through a renewal as well.
        let kept = write(&first.renew().token(Secret::new(token)).build());
        for (name, value) in &unknown {
            prop_assert_eq!(&kept[name], value);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(CredentialRecord::from_json(&bytes).is_err());
    }
}
