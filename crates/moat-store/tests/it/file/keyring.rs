//! The key in a keyring, which here is the mock of the keyring's library.

use std::sync::Arc;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Error, mock};
use moat_provider_testkit::Canary;
use moat_store::{
    CredentialStore, Expect, FileStore, KeyFile, KeyLookup, KeySource, KeyringEntry, MasterKey,
    StoreErrorKind,
};

use crate::support::{Home, credential, key};

const SERVICE: &str = "moat-store";
const ACCOUNT: &str = "master-key";

fn entry(keyring: &Arc<mock::Store>) -> KeyringEntry {
    KeyringEntry::in_keyring(Arc::clone(keyring) as _)
}

fn store(home: &Home, keyring: &Arc<mock::Store>) -> FileStore {
    home.builder()
        .key_source(Arc::new(entry(keyring)))
        .key_source(Arc::new(KeyFile::in_home(home.path())))
        .build()
}

/// Lets the next call to the entry fail.
fn fail_next(keyring: &mock::Store, error: Error) {
    let entry = keyring.build(SERVICE, ACCOUNT, None).unwrap();
    entry.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
}

#[tokio::test]
async fn the_keyring_holds_the_key_and_the_disk_does_not() {
    let (home, keyring) = (Home::new(), mock::Store::new().unwrap());
    let token = Canary::new();
    let github = credential("github", &token.secret());
    store(&home, &keyring).save(&github, Expect::Absent).await.unwrap();
    let unlocked = store(&home, &keyring).unlock().await.unwrap();
    assert_eq!(unlocked.source(), "keyring");
    let read = store(&home, &keyring).load(&key("github")).await.unwrap();
    assert!(read.credential.token().same_as(&token.secret()));
    assert!(!home.path().join("master.key").exists());

    let text = keyring.build(SERVICE, ACCOUNT, None).unwrap().get_password().unwrap();
    // What stands in front of the key is no secret.
    let encoded = text.rsplit(' ').next().unwrap().to_owned();
    let canary = Canary::of(&moat_provider_core::Secret::new(encoded));
    for name in ["key.json", "key.lock"] {
        let content = std::fs::read(home.path().join(name)).unwrap();
        assert_eq!(canary.find_in(&content), None, "{name} holds the key");
    }
}

#[tokio::test]
async fn whatever_the_keyring_fails_with_no_second_key_is_made() {
    let (home, keyring) = (Home::new(), mock::Store::new().unwrap());
    let github = credential("github", &Canary::new().secret());
    store(&home, &keyring).save(&github, Expect::Absent).await.unwrap();
    let errors = || {
        [
            Error::NoStorageAccess("locked".into()),
            Error::PlatformFailure("no answer".into()),
            Error::BadEncoding(vec![0xff]),
            Error::Ambiguous(Vec::new()),
        ]
    };
    for error in errors() {
        fail_next(&keyring, error);
        let error = store(&home, &keyring).load(&key("github")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable, "{error:?}");
        assert!(error.hint().is_some());
    }
    for error in errors() {
        fail_next(&keyring, error);
        let error = store(&home, &keyring).save(&github, Expect::Anything).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable, "{error:?}");
    }
    assert!(!home.path().join("master.key").exists(), "a second key was made");
    assert!(store(&home, &keyring).load(&key("github")).await.is_ok());
}

#[test]
fn an_entry_is_never_overwritten() {
    let keyring = mock::Store::new().unwrap();
    let key = MasterKey::generate().unwrap();
    assert!(matches!(entry(&keyring).load().unwrap(), KeyLookup::Absent));
    entry(&keyring).create(&key).unwrap();
    let error = entry(&keyring).create(&MasterKey::generate().unwrap()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    let KeyLookup::Found(found) = entry(&keyring).load().unwrap() else { panic!("no key") };
    assert_eq!(found.id(), key.id());
}

#[test]
fn what_is_not_a_key_is_not_taken_for_an_absent_one() {
    let keyring = mock::Store::new().unwrap();
    let canary = Canary::new();
    keyring.build(SERVICE, ACCOUNT, None).unwrap().set_password(canary.text()).unwrap();
    let error = entry(&keyring).load().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable);
    assert_eq!(canary.find_in_str(&format!("{error:?}")), None);
    assert_eq!(
        entry(&keyring).create(&MasterKey::generate().unwrap()).unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
}

#[test]
fn a_keyring_that_hangs_is_not_waited_for_for_ever() {
    #[derive(Debug)]
    struct Hanging;

    impl CredentialStoreApi for Hanging {
        fn vendor(&self) -> String {
            "a test".to_owned()
        }

        fn id(&self) -> String {
            "hanging".to_owned()
        }

        fn build(
            &self,
            _: &str,
            _: &str,
            _: Option<&std::collections::HashMap<&str, &str>>,
        ) -> keyring_core::Result<keyring_core::Entry> {
            loop {
                std::thread::park();
            }
        }

        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    let limit = std::time::Duration::from_millis(20);
    let entry = KeyringEntry::in_keyring(Arc::new(Hanging)).time_limit(limit);
    assert_eq!(entry.load().unwrap_err().kind(), StoreErrorKind::KeyUnavailable);
}
