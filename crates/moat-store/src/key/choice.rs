//! Which place holds the key: chosen once, written down, and never a second key.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::{KeyId, KeyLookup, KeySource, MasterKey};
use crate::file::fault::quoted;
use crate::file::lock::Lock;
use crate::file::{disk, scan};
use crate::{Result, StoreError, StoreErrorKind};

/// How long a process waits for another one that chooses: that one may be asking a person.
const LIMIT: Duration = Duration::from_secs(180);
const VERSION: u64 = 1;

/// The places where a home's key may stand, and the key once it is open.
#[derive(Debug)]
pub(crate) struct KeyRing {
    home: PathBuf,
    sources: Vec<Arc<dyn KeySource>>,
    opened: Mutex<Option<Arc<Opened>>>,
}

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) key: MasterKey,
    pub(crate) unlocked: Unlocked,
}

/// What the key is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read a record that is there: a new key is of no use.
    Read,
    /// To write: where there is no key and no record, a new key is made.
    Write,
}

/// How the store's key was opened.
#[derive(Clone, Debug)]
pub struct Unlocked {
    key_id: KeyId,
    source: String,
    description: String,
    is_new: bool,
    passed_over: Vec<PassedOver>,
}

/// A place for the key that this machine does not have.
#[derive(Clone, Debug)]
pub struct PassedOver {
    description: String,
    reason: String,
}

impl Unlocked {
    /// Returns the id of the key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Returns the name of the place where it stands: [`KeySource::name`].
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Describes the place where it stands.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whether this process has chosen the place: the moment to tell the person.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Returns the places that come before it and that this machine does not have. Empty unless
    /// [`is_new`](Self::is_new).
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }
}

/// One sentence for a person: where the key stands, and why not in a better place.
impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credentials are encrypted with a key in {}", self.description)?;
        for passed_over in &self.passed_over {
            write!(
                f,
                "; {} is not available: {}",
                passed_over.description,
                passed_over.reason.escape_debug()
            )?;
        }
        Ok(())
    }
}

impl PassedOver {
    /// Describes the place.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns why it is not there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl KeyRing {
    pub(crate) fn new(home: PathBuf, sources: Vec<Arc<dyn KeySource>>) -> Self {
        Self { home, sources, opened: Mutex::new(None) }
    }

    /// Opens the key, and makes one where that is right.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::KeyUnavailable`] and [`StoreErrorKind::KeyMissing`], and what the system
    /// says.
    pub(crate) fn open(&self, purpose: Purpose) -> Result<Arc<Opened>> {
        // Held throughout, so that the tasks of one process ask the person once.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let choice = Choice::read(&self.home)?;
        if let (Some(known), Some(choice)) = (&*opened, &choice)
            && known.key.id() == choice.key_id
        {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(match choice {
            Some(choice) => match self.open_chosen(&choice)? {
                Some(opened) => opened,
                None => self.choose(purpose, Some(&choice))?,
            },
            None => self.choose(purpose, None)?,
        });
        *opened = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Opens the key in the place that was chosen; `None` when neither that key nor a record is
    /// there any more.
    fn open_chosen(&self, choice: &Choice) -> Result<Option<Opened>> {
        let Some(source) = self.sources.iter().find(|source| source.name() == choice.source) else {
            return Err(StoreError::new(
                StoreErrorKind::KeyUnavailable,
                format!(
                    "the credentials are encrypted with a key in another place: {}",
                    choice.source.escape_debug()
                ),
            )
            .with_hint(format!("cat {}", quoted(&Choice::path(&self.home)))));
        };
        let missing = |what: String| match scan::has_records(&self.home)? {
            true => Err(key_missing(&self.home, what)),
            false => Ok(None),
        };
        match source.load()? {
            KeyLookup::Found(key) if key.id() == choice.key_id => {
                Ok(Some(Opened::new(key, &**source)))
            }
            KeyLookup::Found(key) => missing(format!(
                "{} holds the key {}, and the credentials are encrypted with {}",
                source.describe(),
                key.id(),
                choice.key_id
            )),
            KeyLookup::Absent => missing(format!("the key is gone from {}", source.describe())),
            KeyLookup::NoSuchPlace(_) if !scan::has_records(&self.home)? => Ok(None),
            KeyLookup::NoSuchPlace(reason) => Err(StoreError::new(
                StoreErrorKind::KeyUnavailable,
                format!(
                    "the key is in {}, which is not available: {}",
                    source.describe(),
                    reason.escape_debug()
                ),
            )
            .with_hint(format!("cat {}", quoted(&Choice::path(&self.home))))),
        }
    }

    /// Chooses a place while no other process does, and writes the choice down.
    ///
    /// `obsolete` is the choice that was read before, and of which nothing is left.
    fn choose(&self, purpose: Purpose, obsolete: Option<&Choice>) -> Result<Opened> {
        if purpose == Purpose::Write {
            scan::prepare_home(&self.home)?;
        }
        let _lock = Lock::take(&self.home.join("key.lock"), LIMIT)?;
        if let Some(choice) = Choice::read(&self.home)?.filter(|found| Some(found) != obsolete)
            && let Some(opened) = self.open_chosen(&choice)?
        {
            return Ok(opened);
        }
        let ids = scan::key_ids(&self.home)?;
        let opened = if ids.is_empty() && !scan::has_records(&self.home)? {
            if purpose == Purpose::Read {
                return Err(key_missing(&self.home, "there is no key yet".to_owned()));
            }
            self.first()?
        } else {
            self.recover(&ids)?
        };
        let choice =
            Choice { source: opened.unlocked.source.clone(), key_id: opened.unlocked.key_id };
        choice.write(&self.home)?;
        Ok(opened)
    }

    /// Takes the first place that this machine has, with the key that is there or a new one.
    fn first(&self) -> Result<Opened> {
        let mut passed_over = Vec::new();
        for source in &self.sources {
            let key = match source.load()? {
                KeyLookup::Found(key) => key,
                KeyLookup::Absent => create(&**source)?,
                KeyLookup::NoSuchPlace(reason) => {
                    passed_over.push(PassedOver { description: source.describe(), reason });
                    continue;
                }
            };
            let mut opened = Opened::new(key, &**source);
            opened.unlocked.is_new = true;
            opened.unlocked.passed_over = passed_over;
            return Ok(opened);
        }
        Err(StoreError::new(
            StoreErrorKind::KeyUnavailable,
            "there is no place for the store's key on this machine",
        )
        .with_hint(format!("ls -la {}", quoted(&self.home))))
    }

    /// Looks for the key with which the records are encrypted, after the note of where it stands was
    /// lost.
    fn recover(&self, ids: &BTreeSet<KeyId>) -> Result<Opened> {
        let mut unavailable = None;
        for source in &self.sources {
            match source.load() {
                Ok(KeyLookup::Found(key)) if ids.contains(&key.id()) => {
                    return Ok(Opened::new(key, &**source));
                }
                Ok(_) => {}
                Err(error) => unavailable = unavailable.or(Some(error)),
            }
        }
        Err(unavailable.unwrap_or_else(|| {
            key_missing(
                &self.home,
                "there are credentials, and none of the places for a key has theirs".to_owned(),
            )
        }))
    }
}

fn create(source: &dyn KeySource) -> Result<MasterKey> {
    let key = MasterKey::generate()?;
    source.create(&key)?;
    Ok(key)
}

fn key_missing(home: &Path, what: String) -> StoreError {
    let records = quoted(&scan::credentials(home));
    StoreError::new(StoreErrorKind::KeyMissing, what)
        .with_hint(format!("bring the key back from a backup, or begin anew: rm -r {records}"))
}

impl Opened {
    fn new(key: MasterKey, source: &dyn KeySource) -> Self {
        let unlocked = Unlocked {
            key_id: key.id(),
            source: source.name().to_owned(),
            description: source.describe(),
            is_new: false,
            passed_over: Vec::new(),
        };
        Self { key, unlocked }
    }
}

/// What `key.json` says. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    source: String,
    key_id: KeyId,
}

impl Choice {
    fn path(home: &Path) -> PathBuf {
        home.join("key.json")
    }

    fn read(home: &Path) -> Result<Option<Self>> {
        let path = Self::path(home);
        let Some(bytes) = disk::read_private(&path)? else { return Ok(None) };
        let parse = || {
            let json: Value = serde_json::from_slice(&bytes).ok()?;
            let text = |name| json.get(name).and_then(Value::as_str);
            (json.get("version")?.as_u64()? == VERSION).then_some(())?;
            Some(Self {
                source: text("source")?.to_owned(),
                key_id: KeyId::from_hex(text("key_id")?)?,
            })
        };
        parse().map(Some).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::KeyUnavailable,
                format!("{} is damaged: it says where the key stands", path.display()),
            )
            .with_hint(format!("rm {}", quoted(&path)))
        })
    }

    fn write(&self, home: &Path) -> Result<()> {
        let path = Self::path(home);
        let id = self.key_id.to_string();
        let json = json!({ "version": VERSION, "source": self.source, "key_id": id });
        let text = format!("{json:#}\n");
        disk::replace(&path, &disk::with_ending(&path, ".tmp"), text.as_bytes())
    }
}
