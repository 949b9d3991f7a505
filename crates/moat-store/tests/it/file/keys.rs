//! Where the key stands: one place, one key, and no second one.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use moat_provider_testkit::Canary;
use moat_store::{
    CredentialStore, Expect, FileStore, KeyFile, KeyLookup, KeySource, MasterKey, Result,
    StoreError, StoreErrorKind,
};

use crate::support::{Home, credential, key};

/// A place that does what a test says.
#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    asked: AtomicUsize,
    made: AtomicUsize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Absent,
    Holds(MasterKey),
    Locked(Box<State>),
    None,
}

impl Place {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    fn lock(&self) {
        let mut state = self.state.lock().unwrap();
        *state = State::Locked(Box::new(std::mem::take(&mut *state)));
    }

    fn unlock(&self) {
        let mut state = self.state.lock().unwrap();
        if let State::Locked(inner) = std::mem::take(&mut *state) {
            *state = *inner;
        }
    }
}

fn locked() -> StoreError {
    StoreError::new(StoreErrorKind::KeyUnavailable, "locked").with_hint("unlock it")
}

impl KeySource for Place {
    fn name(&self) -> &str {
        "keyring"
    }

    fn describe(&self) -> String {
        "the place of a test".to_owned()
    }

    fn load(&self) -> Result<KeyLookup> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &*self.state.lock().unwrap() {
            State::Absent => Ok(KeyLookup::Absent),
            State::Holds(key) => Ok(KeyLookup::Found(key.clone())),
            State::Locked(_) => Err(locked()),
            State::None => Ok(KeyLookup::NoSuchPlace("no bus".to_owned())),
        }
    }

    fn create(&self, key: &MasterKey) -> Result<()> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.set(State::Holds(key.clone()));
        Ok(())
    }
}

/// A home with a keyring before a key file, as on a desktop.
fn desktop(home: &Home, place: &Arc<Place>) -> FileStore {
    let place: Arc<dyn KeySource> = Arc::clone(place) as _;
    home.builder().key_source(place).key_source(Arc::new(KeyFile::in_home(home.path()))).build()
}

async fn save(store: &FileStore, name: &str) -> Result<()> {
    store.save(&credential(name, &Canary::new().secret()), Expect::Absent).await.map(drop)
}

async fn load(store: &FileStore) -> Result<()> {
    store.load(&key("github")).await.map(drop)
}

fn kind(result: Result<()>) -> StoreErrorKind {
    let error = result.expect_err("the key was had");
    assert!(error.hint().is_some(), "{error:?}");
    error.kind()
}

#[tokio::test]
async fn the_key_is_asked_for_when_it_is_needed_and_once() {
    let (home, place) = (Home::new(), Arc::default());
    let store = desktop(&home, &place);
    save(&store, "github").await.unwrap();
    let asked = place.asked.load(Ordering::Relaxed);
    for _ in 0..3 {
        load(&store).await.unwrap();
        load(&store.in_profile("work".parse().unwrap())).await.unwrap_err();
    }
    assert_eq!(place.asked.load(Ordering::Relaxed), asked);

    let other = desktop(&home, &place);
    other.names().await.unwrap();
    other.generation(&key("github")).await.unwrap();
    other.profiles().await.unwrap();
    other.load(&key("absent")).await.unwrap_err();
    assert!(other.try_lease(&key("github")).await.unwrap().is_some());
    assert!(other.remove(&key("github")).await.unwrap());
    assert_eq!(place.asked.load(Ordering::Relaxed), asked, "the key was opened for nothing");
}

#[tokio::test]
async fn a_locked_keyring_never_leads_to_a_second_key() {
    let (home, place) = (Home::new(), Arc::default());
    save(&desktop(&home, &place), "github").await.unwrap();

    place.lock();
    let store = desktop(&home, &place);
    assert_eq!(kind(load(&store).await), StoreErrorKind::KeyUnavailable);
    assert_eq!(kind(save(&store, "npm").await), StoreErrorKind::KeyUnavailable);
    assert_eq!(kind(store.list().await.map(drop)), StoreErrorKind::KeyUnavailable);
    // As on a server, over ssh.
    place.unlock();
    let State::Holds(master) = std::mem::take(&mut *place.state.lock().unwrap()) else { panic!() };
    place.set(State::None);
    assert_eq!(kind(load(&store).await), StoreErrorKind::KeyUnavailable);
    assert_eq!(kind(save(&store, "npm").await), StoreErrorKind::KeyUnavailable);
    assert!(!home.path().join("master.key").exists(), "a second key was made");

    place.set(State::Holds(master));
    load(&store).await.unwrap();
    assert_eq!(place.made.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_keyring_that_is_locked_from_the_beginning_gets_no_key_and_no_stand_in() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    place.lock();
    let store = desktop(&home, &place);
    assert_eq!(kind(save(&store, "github").await), StoreErrorKind::KeyUnavailable);
    assert!(!home.path().join("master.key").exists());
    place.unlock();
    save(&store, "github").await.unwrap();
    assert_eq!(store.unlock().await.unwrap().source(), "keyring");
}

#[tokio::test]
async fn a_machine_without_a_keyring_takes_the_file_and_says_so() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    place.set(State::None);
    let store = desktop(&home, &place);
    let unlocked = store.unlock().await.unwrap();
    assert_eq!(unlocked.source(), "file");
    assert!(unlocked.is_new());
    assert_eq!(unlocked.passed_over().len(), 1);
    let said = unlocked.to_string();
    assert!(said.contains("master.key") && said.contains("no bus"), "{said}");
    save(&store, "github").await.unwrap();

    // The choice stays, also when a keyring turns up.
    place.set(State::Absent);
    let later = desktop(&home, &place);
    load(&later).await.unwrap();
    save(&later, "npm").await.unwrap();
    let unlocked = later.unlock().await.unwrap();
    assert_eq!((unlocked.source(), unlocked.is_new()), ("file", false));
    assert_eq!(place.made.load(Ordering::Relaxed), 0, "a second key was made");
}

#[tokio::test]
async fn a_key_that_is_gone_is_missing_and_not_replaced() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    save(&desktop(&home, &place), "github").await.unwrap();
    for state in [State::Absent, State::Holds(MasterKey::generate().unwrap())] {
        place.set(state);
        let store = desktop(&home, &place);
        assert_eq!(kind(load(&store).await), StoreErrorKind::KeyMissing);
        assert_eq!(kind(save(&store, "npm").await), StoreErrorKind::KeyMissing);
        assert_eq!(kind(store.unlock().await.map(drop)), StoreErrorKind::KeyMissing);
    }
    assert_eq!(place.made.load(Ordering::Relaxed), 1, "a second key was made");

    // Records can be removed without it, and then a new beginning is nobody's loss.
    place.set(State::Absent);
    let store = desktop(&home, &place);
    assert!(store.remove(&key("github")).await.unwrap());
    save(&store, "github").await.unwrap();
    load(&store).await.unwrap();
    assert_eq!(place.made.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn records_of_another_profile_count() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    let work = || desktop(&home, &place).in_profile("work".parse().unwrap());
    save(&work(), "github").await.unwrap();
    place.set(State::Absent);
    assert_eq!(kind(save(&desktop(&home, &place), "npm").await), StoreErrorKind::KeyMissing);
}

#[tokio::test]
async fn a_lost_note_is_written_anew_from_the_records() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    save(&desktop(&home, &place), "github").await.unwrap();
    let note = home.path().join("key.json");
    let text = fs::read_to_string(&note).unwrap();

    // A key in the file, which is another one, is not taken for the records'.
    KeyFile::in_home(home.path()).create(&MasterKey::generate().unwrap()).unwrap();
    fs::remove_file(&note).unwrap();
    let file_only = home.store();
    assert_eq!(kind(load(&file_only).await), StoreErrorKind::KeyMissing);
    assert!(!note.exists());
    load(&desktop(&home, &place)).await.unwrap();
    assert_eq!(fs::read_to_string(&note).unwrap(), text);

    fs::write(&note, "{}").unwrap();
    assert_eq!(kind(load(&desktop(&home, &place)).await), StoreErrorKind::KeyUnavailable);

    // While the place is locked, nobody knows.
    fs::remove_file(&note).unwrap();
    place.lock();
    assert_eq!(kind(load(&desktop(&home, &place)).await), StoreErrorKind::KeyUnavailable);
    assert!(!note.exists());
}

#[tokio::test]
async fn a_store_that_was_not_given_the_chosen_place_says_which_it_is() {
    let (home, place) = (Home::new(), Arc::<Place>::default());
    save(&desktop(&home, &place), "github").await.unwrap();
    let error = load(&home.store()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyUnavailable);
    assert!(error.message().contains("keyring"), "{error:?}");
}

#[tokio::test]
async fn a_key_file_that_is_damaged_is_not_replaced() {
    let home = Home::new();
    save(&home.store(), "github").await.unwrap();
    let path = home.path().join("master.key");
    let whole = fs::read_to_string(&path).unwrap();
    for damaged in ["", "moat-key-1", &whole[..whole.len() - 3], &whole.replace("moat", "goat")] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(kind(load(&home.store()).await), StoreErrorKind::KeyUnavailable, "{damaged:?}");
        assert_eq!(kind(save(&home.store(), "npm").await), StoreErrorKind::KeyUnavailable);
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    fs::write(&path, whole).unwrap();
    load(&home.store()).await.unwrap();
}
