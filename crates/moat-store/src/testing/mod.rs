//! The contract of [`CredentialStore`], to be run against any implementation of it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use moat_store::{MemoryStore, testing};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let store = MemoryStore::new();
//! testing::check_contract(&|| Arc::new(store.clone())).await;
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::sync::Arc;

use moat_provider_core::{Credential, CredentialKey, Secret, SecretName};
use time::OffsetDateTime;

use crate::{CredentialStore, Expect, StoreErrorKind};

/// Opens one and the same empty store, each time as another process would.
pub type Open<'a> = dyn Fn() -> Arc<dyn CredentialStore> + 'a;

/// Checks everything that [`CredentialStore`] promises and that can be seen from within one process.
///
/// # Panics
///
/// When the store breaks its contract, with a sentence that says where.
pub async fn check_contract(open: &Open<'_>) {
    let (one, other) = (open(), open());
    assert!(listed(&*one).await.is_empty(), "the contract is checked with an empty store");
    nothing_is_not_found(&*one).await;
    what_is_saved_is_read(&*one, &*other).await;
    writers_do_not_overwrite_each_other(&*one, &*other).await;
    generations_never_come_back(&*one).await;
    keys_are_told_apart(&*one, &*other).await;
    a_lease_is_held_once(&*one, &*other).await;
    assert!(listed(&*other).await.is_empty(), "a removed credential is listed");
}

async fn nothing_is_not_found(store: &dyn CredentialStore) {
    let key = key("contract:absent");
    let kind = store.load(&key).await.map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(StoreErrorKind::NotFound), "load of what was never saved");
    let kind = store.generation(&key).await.map_err(|error| error.kind());
    assert_eq!(kind, Err(StoreErrorKind::NotFound), "generation of what was never saved");
    assert!(!remove(store, &key).await, "something was removed that was never saved");
}

async fn what_is_saved_is_read(one: &dyn CredentialStore, other: &dyn CredentialStore) {
    let key = key("contract:round-trip");
    let saved = Credential::builder(key.clone(), secret("token\"\\\n\u{1f511}"), at(7))
        .secret(SecretName::REFRESH_TOKEN, secret("refresh"))
        .scopes(["read", "write"])
        .expires_at(at(1_000_000))
        .metadata("login", "octocat")
        .build();
    let generation = save(one, &saved, Expect::Absent).await;
    let read = load(other, &key).await;
    assert_eq!(read.1, generation, "the generation that was read is not the one that was saved");
    assert_eq!(read.0.info(), saved.info(), "what was read is not what was saved");
    for (name, secret) in saved.secrets().iter() {
        let found = read.0.secrets().get(name).is_some_and(|found| found.same_as(secret));
        assert!(found, "the secret {name} that was read is not the one that was saved");
    }
    let found = other.generation(&key).await.unwrap_or_else(|error| fail("generation", &error));
    assert_eq!(found, generation, "generation() is not that of load()");
    let list = other.list().await.unwrap_or_else(|error| fail("list", &error));
    let info = list.into_iter().find(|entry| entry.key == key).map(|entry| entry.info);
    let Some(Ok(info)) = info else { panic!("a saved credential is not listed, or unreadable") };
    assert_eq!(&info, saved.info(), "what is listed is not what was saved");
    assert!(remove(one, &key).await, "remove does not say that there was something");
    assert!(!remove(other, &key).await, "remove says that there was something twice");
    let kind = other.load(&key).await.map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(StoreErrorKind::NotFound), "load of what was removed");
}

async fn writers_do_not_overwrite_each_other(
    one: &dyn CredentialStore,
    other: &dyn CredentialStore,
) {
    let key = key("contract:writers");
    let named = |text| Credential::builder(key.clone(), secret(text), at(1)).build();
    let first = save(one, &named("first"), Expect::Absent).await;
    conflict(other, &named("lost"), Expect::Absent, "Expect::Absent over a credential").await;
    let second = save(other, &named("second"), Expect::Generation(first)).await;
    assert!(second > first, "a later generation is not larger");
    conflict(one, &named("lost"), Expect::Generation(first), "an outdated generation").await;
    let third = save(one, &named("third"), Expect::Anything).await;
    assert!(third > second, "a later generation is not larger");
    let (read, generation) = load(other, &key).await;
    assert_eq!(generation, third, "a save that was refused has changed something");
    assert!(
        read.token().same_as(&secret("third")),
        "a save that was refused has changed something"
    );
    remove(one, &key).await;
    conflict(one, &named("lost"), Expect::Generation(third), "a generation that was removed").await;
    assert!(!remove(one, &key).await, "a save that was refused has created something");
}

async fn generations_never_come_back(store: &dyn CredentialStore) {
    let key = key("contract:again");
    let credential = Credential::builder(key.clone(), secret("token"), at(1)).build();
    let mut last = None;
    for _ in 0..20 {
        let generation = save(store, &credential, Expect::Absent).await;
        assert!(
            last.is_none_or(|last| generation > last),
            "the generation after a removal and a new grant is not larger than all before"
        );
        last = Some(generation);
        remove(store, &key).await;
    }
}

async fn keys_are_told_apart(one: &dyn CredentialStore, other: &dyn CredentialStore) {
    let mut names = ["contract", "contract:a", "contract:A", "contract:a:b", "contract:a.b", "con"];
    names.sort_unstable();
    for name in names {
        let credential = Credential::builder(key(name), secret(name), at(1)).build();
        save(one, &credential, Expect::Absent).await;
    }
    for name in names {
        let (read, _) = load(other, &key(name)).await;
        assert!(read.token().same_as(&secret(name)), "{name} is another credential");
    }
    let mut sorted: Vec<_> = names.iter().map(|name| key(name)).collect();
    sorted.sort_unstable();
    assert_eq!(listed(other).await, sorted, "the list is not that of all keys in order");
    for name in names {
        assert!(remove(other, &key(name)).await, "{name} is not there any more");
    }
}

async fn a_lease_is_held_once(one: &dyn CredentialStore, other: &dyn CredentialStore) {
    let (key, another) = (key("contract:lease"), key("contract:Lease"));
    let take = async |store: &dyn CredentialStore, key| {
        store.try_lease(key).await.unwrap_or_else(|error| fail("try_lease", &error))
    };
    let Some(held) = take(one, &key).await else { panic!("a lease that nobody holds is taken") };
    assert_eq!(held.key(), &key, "the lease is that of another credential");
    assert!(take(other, &key).await.is_none(), "two hold one lease");
    assert!(take(one, &key).await.is_none(), "one holds a lease twice");
    assert!(take(other, &another).await.is_some(), "a lease covers other credentials");
    let credential = Credential::builder(key.clone(), secret("token"), at(1)).build();
    save(other, &credential, Expect::Anything).await;
    assert!(take(other, &key).await.is_none(), "a save ends a lease");
    remove(other, &key).await;
    assert!(take(other, &key).await.is_none(), "a removal ends a lease");
    drop(held);
    assert!(take(other, &key).await.is_some(), "a lease outlives its holder");
}

async fn conflict(
    store: &dyn CredentialStore,
    credential: &Credential,
    expect: Expect,
    what: &str,
) {
    let kind = store.save(credential, expect).await.map_err(|error| error.kind());
    assert_eq!(kind, Err(StoreErrorKind::Conflict), "a save with {what}");
}

async fn save(
    store: &dyn CredentialStore,
    credential: &Credential,
    expect: Expect,
) -> crate::Generation {
    store.save(credential, expect).await.unwrap_or_else(|error| fail("save", &error))
}

async fn load(store: &dyn CredentialStore, key: &CredentialKey) -> (Credential, crate::Generation) {
    let stored = store.load(key).await.unwrap_or_else(|error| fail("load", &error));
    (stored.credential, stored.generation)
}

async fn remove(store: &dyn CredentialStore, key: &CredentialKey) -> bool {
    store.remove(key).await.unwrap_or_else(|error| fail("remove", &error))
}

async fn listed(store: &dyn CredentialStore) -> Vec<CredentialKey> {
    let list = store.list().await.unwrap_or_else(|error| fail("list", &error));
    list.into_iter().map(|entry| entry.key).collect()
}

fn fail(call: &str, error: &crate::StoreError) -> ! {
    panic!("{call} has failed: {error:?}")
}

fn key(text: &str) -> CredentialKey {
    match text.parse() {
        Ok(key) => key,
        Err(error) => panic!("{text} is no key: {error}"),
    }
}

/// A secret that protects nothing.
fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds)
}
