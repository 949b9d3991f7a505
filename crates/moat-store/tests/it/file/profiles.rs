//! Sets of credentials that see nothing of each other.

use moat_provider_testkit::Canary;
use moat_store::{CredentialStore, Expect, Profile, StoreErrorKind};

use crate::support::{Home, credential, key, names};

#[tokio::test]
async fn profiles_see_nothing_of_each_other() {
    let home = Home::new();
    let (default, work) = (home.store(), home.store().in_profile("work".parse().unwrap()));
    let canary = Canary::new();
    default.save(&credential("github", &canary.secret()), Expect::Absent).await.unwrap();

    let kind = work.load(&key("github")).await.unwrap_err().kind();
    assert_eq!(kind, StoreErrorKind::NotFound, "a profile falls back to the default one");
    assert!(work.list().await.unwrap().is_empty());
    assert!(work.names().await.unwrap().is_empty());
    assert!(!work.remove(&key("github")).await.unwrap());

    let lease = default.try_lease(&key("github")).await.unwrap();
    assert!(lease.is_some());
    assert!(work.try_lease(&key("github")).await.unwrap().is_some());

    work.save(&credential("npm", &canary.secret()), Expect::Absent).await.unwrap();
    assert_eq!(default.names().await.unwrap(), [key("github")]);
    assert_eq!(work.names().await.unwrap(), [key("npm")]);
}

#[tokio::test]
async fn profiles_that_differ_by_case_have_directories_of_their_own() {
    let home = Home::new();
    let canary = Canary::new();
    for name in ["work", "Work", "nul"] {
        let store = home.store().in_profile(name.parse().unwrap());
        store.save(&credential("github", &canary.secret()), Expect::Absent).await.unwrap();
    }
    let dir = home.credentials().join("profiles");
    assert_eq!(names(&dir), ["+work", "_nul", "work"]);
    std::fs::create_dir(dir.join("Not A Profile")).unwrap();
    std::fs::write(dir.join("file"), "").unwrap();
    let listed = home.store().profiles().await.unwrap();
    let expected: Vec<Profile> =
        ["default", "Work", "nul", "work"].map(|name| name.parse().unwrap()).to_vec();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_home_without_anything_has_the_default_profile_and_gets_nothing_by_reading() {
    let home = Home::new();
    let inner = home.path().join("not-there");
    let store = moat_store::FileStore::builder(&inner).build();
    assert_eq!(store.profiles().await.unwrap(), [Profile::default()]);
    assert!(store.list().await.unwrap().is_empty());
    assert!(store.names().await.unwrap().is_empty());
    assert!(!store.remove(&key("github")).await.unwrap());
    assert_eq!(store.load(&key("github")).await.unwrap_err().kind(), StoreErrorKind::NotFound);
    assert!(!inner.exists(), "reading has created something");
}
