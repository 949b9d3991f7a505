//! The key in the keyring of the operating system.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use keyring_core::api::CredentialStore as Keyring;
use keyring_core::{Entry, Error};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyLookup, KeySource, MasterKey, forgetful};
use crate::{Result, StoreError, StoreErrorKind};

/// How long a keyring may take: a person types a password meanwhile.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(target_os = "macos")]
const LOOK: &str = "security unlock-keychain";
#[cfg(windows)]
const LOOK: &str = "cmdkey /list";
#[cfg(not(any(target_os = "macos", windows)))]
const LOOK: &str = "busctl --user status org.freedesktop.secrets";

/// The master key as one entry of a keyring: Keychain on macOS, Credential Manager on Windows, the
/// Secret Service (GNOME Keyring, KWallet, KeePassXC) elsewhere.
///
/// The keyrings of the Linux kernel are no choice: a sandbox can see those of its session.
#[derive(Clone)]
pub struct KeyringEntry {
    place: Place,
    service: String,
    account: String,
    limit: Duration,
}

#[derive(Clone)]
enum Place {
    /// The system's, reached only when a key is asked for.
    System,
    Given(Arc<Keyring>),
}

impl KeyringEntry {
    /// Uses the system's keyring, service `moat-store`, account `master-key`.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Place::System)
    }

    /// Uses a keyring of the embedding program's choice.
    #[must_use]
    pub fn in_keyring(keyring: Arc<Keyring>) -> Self {
        Self::new(Place::Given(keyring))
    }

    fn new(place: Place) -> Self {
        let (service, account) = ("moat-store".to_owned(), "master-key".to_owned());
        Self { place, service, account, limit: LIMIT }
    }

    /// Names the entry.
    #[must_use]
    pub fn named(mut self, service: impl Into<String>, account: impl Into<String>) -> Self {
        self.service = service.into();
        self.account = account.into();
        self
    }

    /// Sets how long the keyring, and the person whom it asks, may take. 120 seconds when not set.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the entry's text; `None` when there is no such entry.
    pub(crate) fn read_text(&self) -> Result<TextLookup> {
        self.within_limit(|entry| match entry {
            Err(error) => no_place_or_error(&error),
            Ok(entry) => match entry.get_password() {
                Ok(text) => Ok(TextLookup::Found(Zeroizing::new(text))),
                Err(Error::NoEntry) => Ok(TextLookup::Absent),
                Err(error) => Err(unavailable(error)),
            },
        })
    }

    /// Asks the keyring on a thread of its own: a dialogue that nobody sees, or a service that
    /// hangs, holds up nobody for ever.
    fn within_limit<T: Send + 'static>(
        &self,
        ask: impl FnOnce(keyring_core::Result<Entry>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let own = self.clone();
        let spawned = thread::Builder::new().name("keyring".to_owned()).spawn(move || {
            let entry = own.keyring().and_then(|ring| ring.build(&own.service, &own.account, None));
            // Nobody listens any more when the time was up.
            let _ = sender.send(ask(entry));
        });
        let failed = |why: &'static str| {
            StoreError::new(StoreErrorKind::KeyUnavailable, why).with_hint(LOOK)
        };
        spawned.map_err(|error| failed("no thread for the keyring").with_source(error))?;
        receiver.recv_timeout(self.limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => failed("the keyring does not answer"),
            RecvTimeoutError::Disconnected => failed("the keyring's library has failed"),
        })?
    }

    fn keyring(&self) -> keyring_core::Result<Arc<Keyring>> {
        match &self.place {
            Place::Given(keyring) => Ok(Arc::clone(keyring)),
            Place::System => system(),
        }
    }
}

/// What stands in an entry.
pub(crate) enum TextLookup {
    Found(Zeroizing<String>),
    Absent,
    NoSuchPlace(String),
}

#[cfg(target_os = "macos")]
fn system() -> keyring_core::Result<Arc<Keyring>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn system() -> keyring_core::Result<Arc<Keyring>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
fn system() -> keyring_core::Result<Arc<Keyring>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(not(any(all(unix, not(target_os = "ios")), windows)))]
fn system() -> keyring_core::Result<Arc<Keyring>> {
    Err(Error::NoDefaultStore)
}

/// Judges why the keyring was not even reached: none on this machine, or one that refuses.
fn no_place_or_error(error: &Error) -> Result<TextLookup> {
    match error {
        Error::PlatformFailure(_) | Error::NoDefaultStore => {
            Ok(TextLookup::NoSuchPlace(error.to_string()))
        }
        other => Err(unavailable(other)),
    }
}

/// The errors of some keyrings carry what they have read, so none of them becomes a source.
fn unavailable(error: impl std::borrow::Borrow<Error>) -> StoreError {
    let why = match error.borrow() {
        Error::NoStorageAccess(_) => "it is locked, or refuses this program".to_owned(),
        Error::Ambiguous(_) => "it holds several entries for the key".to_owned(),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "its entry is not a key".to_owned(),
        other => other.to_string(),
    };
    StoreError::new(StoreErrorKind::KeyUnavailable, format!("the keyring cannot be used: {why}"))
        .with_hint(LOOK)
}

impl KeySource for KeyringEntry {
    fn name(&self) -> &str {
        "keyring"
    }

    fn describe(&self) -> String {
        format!("the system's keyring (service {}, account {})", self.service, self.account)
    }

    fn load(&self) -> Result<KeyLookup> {
        let text = match self.read_text()? {
            TextLookup::Found(text) => text,
            TextLookup::Absent => return Ok(KeyLookup::Absent),
            TextLookup::NoSuchPlace(reason) => return Ok(KeyLookup::NoSuchPlace(reason)),
        };
        MasterKey::from_text(&text).map(KeyLookup::Found).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::KeyUnavailable,
                format!("what stands in {} is not a key of this program", self.describe()),
            )
            .with_hint(LOOK)
        })
    }

    fn create(&self, key: &MasterKey) -> Result<()> {
        let text = key.to_text();
        self.within_limit(move |entry| {
            let entry = entry.map_err(unavailable)?;
            match entry.get_password() {
                Err(Error::NoEntry) => entry
                    .set_password(&text)
                    .and_then(|()| entry.get_password())
                    .map(Zeroizing::new)
                    .map_err(unavailable),
                Err(error) => Err(unavailable(error)),
                Ok(mut found) => {
                    found.zeroize();
                    Err(StoreError::new(
                        StoreErrorKind::Conflict,
                        "the keyring has got a key in the meantime",
                    )
                    .with_hint("run the command once more"))
                }
            }
        })
        .and_then(|found| match MasterKey::from_text(&found) {
            Some(found) if found.id() == key.id() => Ok(()),
            _ => Err(forgetful(self)),
        })
    }
}

impl fmt::Debug for KeyringEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringEntry")
            .field("service", &self.service)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
