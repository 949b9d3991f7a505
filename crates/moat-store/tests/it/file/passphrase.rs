//! The key behind a passphrase.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moat_provider_core::Secret;
use moat_provider_testkit::Canary;
use moat_store::{
    CredentialStore, Expect, FileStore, KeyLookup, KeySource, MasterKey, Passphrase,
    PassphraseCost, StoreErrorKind,
};

use crate::support::{Home, credential, key};

fn passphrase(home: &Home, secret: &Secret) -> Passphrase {
    let secret = secret.clone();
    Passphrase::in_home(home.path(), move || Ok(secret.clone())).cost(PassphraseCost::LEAST)
}

fn store(home: &Home, secret: &Secret) -> FileStore {
    home.builder().key_source(Arc::new(passphrase(home, secret))).build()
}

#[tokio::test]
async fn the_right_one_opens_and_a_wrong_one_does_not() {
    let (home, right, wrong) = (Home::new(), Canary::new(), Canary::new());
    let token = Canary::new();
    let github = credential("github", &token.secret());
    store(&home, &right.secret()).save(&github, Expect::Absent).await.unwrap();

    let read = store(&home, &right.secret()).load(&key("github")).await.unwrap();
    assert!(read.credential.token().same_as(&token.secret()));

    let closed = store(&home, &wrong.secret());
    for error in [
        closed.load(&key("github")).await.map(drop).unwrap_err(),
        closed.save(&github, Expect::Anything).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable);
        assert_eq!(wrong.find_in_str(&format!("{error:?}")), None);
    }
    let file = std::fs::read(home.path().join("passphrase.json")).unwrap();
    assert_eq!(right.find_in(&file), None, "the passphrase is written down");
    assert!(!passphrase(&home, &right.secret()).is_new().unwrap());
}

#[test]
fn a_new_one_is_asked_for_twice() {
    let home = Home::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let answers = [Canary::new().secret(), Canary::new().secret()];
    let count = Arc::clone(&asked);
    let differing = Passphrase::in_home(home.path(), move || {
        Ok(answers[count.fetch_add(1, Ordering::Relaxed) % 2].clone())
    })
    .cost(PassphraseCost::LEAST);
    let key = MasterKey::generate().unwrap();
    let error = differing.create(&key).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(differing.is_new().unwrap());
    let empty = passphrase(&home, &Secret::new(String::new()));
    assert_eq!(empty.create(&key).unwrap_err().kind(), StoreErrorKind::KeyUnavailable);
}

#[test]
fn a_file_that_was_altered_is_not_obeyed() {
    let (home, secret) = (Home::new(), Canary::new().secret());
    let source = passphrase(&home, &secret);
    let key = MasterKey::generate().unwrap();
    source.create(&key).unwrap();
    assert_eq!(source.create(&key).unwrap_err().kind(), StoreErrorKind::Conflict);
    let KeyLookup::Found(found) = source.load().unwrap() else { panic!("no key") };
    assert_eq!(found.id(), key.id());

    let path = home.path().join("passphrase.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let altered = [
        ("\"memory_kib\": 8", "\"memory_kib\": 4294967295"),
        ("\"passes\": 1", "\"passes\": 0"),
        ("\"passes\": 1", "\"passes\": 2"),
        ("argon2id", "argon2d"),
        ("\"version\": 1", "\"version\": 2"),
        ("\"salt\": \"", "\"salt\": \"A"),
        ("{", ""),
    ];
    for (from, to) in altered {
        assert!(whole.contains(from), "{from}");
        std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        let error = source.load().expect_err(to);
        assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable);
        assert!(error.hint().is_some());
    }
}

#[test]
fn the_cost_has_bounds() {
    assert!(PassphraseCost::new(64 << 10, 3, 4).is_ok());
    for (memory, passes, lanes) in [(1, 1, 1), (8, 0, 1), (8, 1, 0), (u32::MAX, 1, 1), (64, 65, 1)]
    {
        let error = PassphraseCost::new(memory, passes, lanes).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InvalidInput);
    }
}
