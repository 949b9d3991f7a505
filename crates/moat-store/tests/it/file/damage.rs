//! Records that are not what was written.

use std::fs;

use moat_provider_testkit::Canary;
use moat_store::{
    CredentialStore, Expect, FixedKey, MasterKey, StoreError, StoreErrorKind, Stored,
};

use crate::support::{Home, credential, key};

async fn saved(home: &Home, names: &[&str]) -> Canary {
    let canary = Canary::with_length("", 64);
    let store = home.store();
    for name in names {
        store.save(&credential(name, &canary.secret()), Expect::Absent).await.unwrap();
    }
    canary
}

async fn load(home: &Home, name: &str) -> Result<Stored, StoreError> {
    home.store().load(&key(name)).await
}

/// Checks that an error says something to a person, and nothing of the secret.
fn kind_of(result: Result<Stored, StoreError>, canary: &Canary) -> StoreErrorKind {
    let error = result.expect_err("a record was read that is not what was written");
    assert!(error.hint().is_some(), "{error:?}");
    assert_eq!(canary.find_in_str(&format!("{error:?}")), None);
    error.kind()
}

#[tokio::test]
async fn no_byte_can_be_flipped() {
    let home = Home::new();
    let canary = saved(&home, &["github"]).await;
    let path = home.record("github");
    let whole = fs::read(&path).unwrap();
    assert_eq!(canary.find_in(&whole), None, "the record is not encrypted");
    let store = home.store();
    for at in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut flipped = whole.clone();
            flipped[at] ^= mask;
            fs::write(&path, &flipped).unwrap();
            let kind = kind_of(store.load(&key("github")).await, &canary);
            let expected = match at {
                8..10 => StoreErrorKind::NewerFormat,
                _ => StoreErrorKind::Damaged,
            };
            assert_eq!(kind, expected, "byte {at} of {}", whole.len());
        }
    }
    fs::write(&path, &whole).unwrap();
    assert!(load(&home, "github").await.unwrap().credential.token().same_as(&canary.secret()));
}

#[tokio::test]
async fn a_record_that_is_cut_short_or_longer_is_damaged() {
    let home = Home::new();
    let canary = saved(&home, &["github"]).await;
    let path = home.record("github");
    let whole = fs::read(&path).unwrap();
    let store = home.store();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let kind = kind_of(store.load(&key("github")).await, &canary);
        assert_eq!(kind, StoreErrorKind::Damaged, "{len} bytes");
        let generation = store.generation(&key("github")).await.map_err(|error| error.kind());
        assert_eq!(generation, Err(StoreErrorKind::Damaged), "{len} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    fs::write(&path, longer).unwrap();
    assert_eq!(kind_of(load(&home, "github").await, &canary), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn a_forged_checksum_does_not_help() {
    use sha2::{Digest, Sha256};

    let home = Home::new();
    let canary = saved(&home, &["github"]).await;
    let path = home.record("github");
    let whole = fs::read(&path).unwrap();
    let content = whole.len() - 8;
    let store = home.store();
    // The key's id, the generation, the nonce, and what is sealed.
    for at in 12..content {
        if (28..32).contains(&at) {
            continue;
        }
        let mut forged = whole.clone();
        forged[at] ^= 1;
        let checksum = Sha256::digest(&forged[..content]);
        forged[content..].copy_from_slice(&checksum[..8]);
        fs::write(&path, &forged).unwrap();
        let kind = kind_of(store.load(&key("github")).await, &canary);
        assert_eq!(kind, StoreErrorKind::CannotDecrypt, "byte {at}");
    }
}

#[tokio::test]
async fn files_cannot_be_swapped() {
    let home = Home::new();
    let canary = saved(&home, &["aws:prod", "aws:dev"]).await;
    let work = home.store().in_profile("work".parse().unwrap());
    work.save(&credential("aws:prod", &canary.secret()), Expect::Absent).await.unwrap();
    let prod = fs::read(home.record("aws=prod")).unwrap();

    fs::write(home.record("aws=dev"), &prod).unwrap();
    assert_eq!(kind_of(load(&home, "aws:dev").await, &canary), StoreErrorKind::CannotDecrypt);

    fs::write(home.credentials().join("profiles/work/aws=prod.cred"), &prod).unwrap();
    let kind = kind_of(work.load(&key("aws:prod")).await, &canary);
    assert_eq!(kind, StoreErrorKind::CannotDecrypt);
    assert!(load(&home, "aws:prod").await.is_ok());
}

#[tokio::test]
async fn another_key_is_told_from_damage() {
    let home = Home::new();
    let canary = saved(&home, &["github"]).await;
    let stranger = Home::new();
    saved(&stranger, &["github"]).await;
    fs::copy(stranger.record("github"), home.record("github")).unwrap();
    assert_eq!(kind_of(load(&home, "github").await, &canary), StoreErrorKind::CannotDecrypt);
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_removed_and_replaced() {
    let home = Home::new();
    let canary = saved(&home, &["damaged", "fine", "foreign"]).await;
    fs::write(home.record("damaged"), b"nonsense").unwrap();
    fs::copy(home.record("fine"), home.record("foreign")).unwrap();
    fs::write(home.credentials().join("Not-Ours.cred"), b"").unwrap();

    let store = home.store();
    let list = store.list().await.unwrap();
    let kinds: Vec<_> = list
        .iter()
        .map(|entry| {
            (entry.key.to_string(), entry.info.as_ref().map(drop).map_err(StoreError::kind))
        })
        .collect();
    let expected = [
        ("damaged".to_owned(), Err(StoreErrorKind::Damaged)),
        ("fine".to_owned(), Ok(())),
        ("foreign".to_owned(), Err(StoreErrorKind::CannotDecrypt)),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(canary.find_in_str(&format!("{list:?}")), None);

    assert!(store.remove(&key("damaged")).await.unwrap());
    assert!(store.remove(&key("foreign")).await.unwrap());
    assert!(!store.remove(&key("foreign")).await.unwrap());

    fs::write(home.record("fine"), b"nonsense").unwrap();
    let again = credential("fine", &canary.secret());
    let kind = store.save(&again, Expect::Absent).await.map_err(|error| error.kind());
    assert_eq!(kind, Err(StoreErrorKind::Conflict), "a record that cannot be read is none");
    store.save(&again, Expect::Anything).await.unwrap();
    assert!(store.load(&key("fine")).await.is_ok());
}

#[tokio::test]
async fn a_newer_generation_follows_whatever_the_clock_says() {
    let home = Home::new();
    let key_source = std::sync::Arc::new(FixedKey::new(MasterKey::generate().unwrap()));
    let store = home.builder().key_source(key_source).build();
    let canary = Canary::new();
    let github = credential("github", &canary.secret());
    let first = store.save(&github, Expect::Absent).await.unwrap();
    // As if an earlier save had been made with a clock far ahead: its generation stands in the
    // header, and a removal remembers it.
    let path = home.record("github");
    let mut ahead = fs::read(&path).unwrap();
    let later = first.number() + 1_000_000_000_000;
    ahead[20..28].copy_from_slice(&later.to_be_bytes());
    fs::write(&path, &ahead).unwrap();
    let second = store.save(&github, Expect::Anything).await.unwrap();
    assert_eq!(second.number(), later + 1);
    store.remove(github.key()).await.unwrap();
    let third = store.save(&github, Expect::Absent).await.unwrap();
    assert_eq!(third.number(), later + 2, "a removal forgets the generation");
    // A backup of the first record comes back, and its generation does not count for the next.
    store.remove(github.key()).await.unwrap();
    assert!(store.save(&github, Expect::Absent).await.unwrap() > third);
}
