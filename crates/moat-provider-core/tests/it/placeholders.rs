//! Placeholders: shape, tag, stability, recognition.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use moat_provider_core::{Alphabet, ErrorKind, PlaceholderKey, PlaceholderShape};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::{Counter, key, path, placeholder, run_builder};

const ALPHABETS: [Alphabet; 6] = [
    Alphabet::Alphanumeric,
    Alphabet::LowerAlphanumeric,
    Alphabet::Base64Url,
    Alphabet::Base32,
    Alphabet::LowerHex,
    Alphabet::Digits,
];

fn classic() -> PlaceholderShape {
    PlaceholderShape::prefixed("ghp_", Alphabet::Alphanumeric, 36)
}

#[test]
fn a_placeholder_is_a_function_of_run_grant_and_label() {
    let run = run_builder("r1").build();
    let mint = |run: &moat_provider_core::RunContext, grant: &str, label: &str| {
        run.placeholder(&key(grant), label, &classic()).unwrap()
    };
    let first = mint(&run, "github", "token");
    assert_eq!(first, mint(&run, "github", "token"));
    assert_eq!(first, mint(&run_builder("r1").build(), "github", "token"), "another process");
    let others = [
        mint(&run_builder("r2").build(), "github", "token"),
        mint(&run, "github:ghe.example.com", "token"),
        mint(&run, "github", "other"),
        // Fields are told apart even where their texts run together.
        mint(&run_builder("r1g").build(), "ithub", "token"),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(&first, other);
        assert!(!others[..at].contains(other));
    }
}

#[test]
fn only_the_key_that_made_it_recognizes_it() {
    let (a, b) = (PlaceholderKey::from_bytes([1; 32]), PlaceholderKey::from_bytes([2; 32]));
    let run = |key| {
        moat_provider_core::RunContext::builder("r".parse().unwrap(), path("/h"), key).build()
    };
    let text = run(a.clone()).placeholder(&key("github"), "token", &classic()).unwrap();
    assert!(a.recognizes(text.as_str()));
    assert!(!b.recognizes(text.as_str()));
    for other in ["", "short", "ghp_000000000000000000000000000000000000", "ä€ä€ä€ä€"] {
        assert!(!a.recognizes(other), "{other}");
    }
}

#[test]
fn generated_keys_differ_and_show_nothing() {
    let entropy = Counter::default();
    let (a, b) = (PlaceholderKey::generate(&entropy), PlaceholderKey::generate(&entropy));
    let (a, b) = (a.unwrap(), b.unwrap());
    let text = |key: PlaceholderKey| {
        moat_provider_core::RunContext::builder("r".parse().unwrap(), path("/h"), key)
            .build()
            .placeholder(&key_of(), "token", &classic())
            .unwrap()
    };
    assert!(!format!("{a:?}").contains('0'));
    assert_ne!(text(a), text(b));
}

fn key_of() -> moat_provider_core::CredentialKey {
    key("github")
}

#[test]
fn a_shape_without_room_for_the_tag_is_refused() {
    let run = run_builder("r1").build();
    for shape in [
        PlaceholderShape::new(),
        PlaceholderShape::new().literal("fixed"),
        PlaceholderShape::prefixed("x", Alphabet::Digits, 15),
        classic().literal("end"),
    ] {
        let error = run.placeholder(&key("github"), "token", &shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_jwt_has_the_claims_and_three_parts() {
    let claims = json!({"sub": "user", "https://vendor/auth": {"plan": "pro"}});
    let shape = PlaceholderShape::jwt(claims.as_object().unwrap());
    let run = run_builder("r1").build();
    let token = run.placeholder(&key("codex"), "access_token", &shape).unwrap();
    let parts: Vec<_> = token.as_str().split('.').collect();
    let decoded = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(decoded(parts[0]), json!({"alg": "RS256", "typ": "JWT"}));
    assert_eq!(decoded(parts[1]), claims);
    assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 384, "a strict decoder takes it");
    assert_eq!(parts.len(), 3);
}

#[test]
fn a_header_carries_it_under_any_scheme() {
    let own = placeholder("github");
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let carried = [
        own.to_string(),
        format!("Bearer {own}"),
        format!("bearer  {own} "),
        format!("token {own}"),
        basic(&format!("x-access-token:{own}")),
        basic(&format!("{own}:x-oauth-basic")),
        basic(&format!("{own}:")),
        basic(&format!("{own}")),
        format!("bASIC {}", STANDARD.encode(format!("u:{own}"))),
    ];
    for value in carried {
        assert!(own.is_carried_by(&HeaderValue::from_str(&value).unwrap()), "{value}");
    }
    let other = placeholder("gitlab");
    let free = [
        String::new(),
        "Bearer".into(),
        format!("Bearer {other}"),
        format!("Bearer x{own}"),
        format!("Bearer {own}x"),
        format!("Bearer {own} trailing"),
        format!("please use {own}"),
        basic(&format!("u:{own}:x")),
        "Basic %%%".into(),
    ];
    for value in free {
        assert!(!own.is_carried_by(&HeaderValue::from_str(&value).unwrap()), "{value}");
    }
}

proptest! {
    #[test]
    fn every_placeholder_fits_its_shape_and_is_recognized(
        literals in prop::collection::vec("[!-~]{0,6}", 1..4),
        middle in select(ALPHABETS.to_vec()),
        tail in select(ALPHABETS.to_vec()),
        len in 16_usize..80,
        run in "[a-z0-9]{1,12}",
    ) {
        let mut shape = PlaceholderShape::new();
        for literal in &literals {
            shape = shape.literal(literal).random(middle, 3);
        }
        let shape = shape.random(tail, len);
        let own = run_builder(&run).build().placeholder(&key("p:q"), "label", &shape).unwrap();
        prop_assert!(shape.fits(own.as_str()));
        let longer = format!("{own}0");
        prop_assert!(!shape.fits(&longer));
        prop_assert!(!shape.fits(&own.as_str()[..own.as_str().len() - 1]));
        prop_assert!(PlaceholderKey::from_bytes([7; 32]).recognizes(own.as_str()));
        prop_assert!(!PlaceholderKey::from_bytes([8; 32]).recognizes(own.as_str()));
        prop_assert!(HeaderValue::from_str(own.as_str()).is_ok());
    }

    #[test]
    fn any_header_is_looked_at_without_a_panic(bytes in prop::collection::vec(32_u8..=255, 0..64)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            prop_assert!(!placeholder("github").is_carried_by(&value));
        }
    }
}
