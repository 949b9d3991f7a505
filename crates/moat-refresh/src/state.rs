//! What subscribers see.

use std::fmt;
use std::sync::Arc;

use moat_provider_core::{Credential, CredentialInfo};
use moat_store::{Generation, Stored};
use time::OffsetDateTime;

use crate::Problem;

/// How a credential stands.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is good as far as is known.
    Fresh,
    /// It is being refreshed; what is there is used until then.
    Refreshing,
    /// The last refresh failed, and is tried again by itself.
    Retrying {
        /// When, about.
        at: OffsetDateTime,
        /// Why it failed; [`ProblemKind::Offline`](crate::ProblemKind::Offline) when the vendor was
        /// not reached.
        problem: Problem,
    },
    /// It was renewed, and the store does not take it. It is in memory only, and in use; saving it is
    /// tried again. The person should know: the old refresh token may be spent.
    Unsaved(Problem),
    /// Another program refreshes it, and it is good so far.
    OwnedElsewhere(Problem),
    /// Only the person can help; the problem says how.
    NeedsPerson(Problem),
    /// It is gone from the store: what is open with it has to be closed.
    Removed(Problem),
    /// Nobody keeps it fresh any more. Nothing follows.
    Ended(Problem),
}

impl State {
    /// Returns what is wrong, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Fresh | Self::Refreshing => None,
            Self::Retrying { problem, .. }
            | Self::Unsaved(problem)
            | Self::OwnedElsewhere(problem)
            | Self::NeedsPerson(problem)
            | Self::Removed(problem)
            | Self::Ended(problem) => Some(problem),
        }
    }
}

/// A credential at one moment, and how it stands.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) stored: Option<Arc<Stored>>,
    pub(crate) revision: u64,
    pub(crate) removals: u64,
    pub(crate) state: State,
    pub(crate) is_loaded: bool,
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self { stored: None, revision: 0, removals: 0, state: State::Refreshing, is_loaded: false }
    }

    /// Returns the credential; `None` when it is gone from the store.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential> {
        self.stored.as_ref().map(|stored| &stored.credential)
    }

    /// Returns the credential without its secrets.
    #[must_use]
    pub fn info(&self) -> Option<&CredentialInfo> {
        self.credential().map(Credential::info)
    }

    /// Returns the generation of the credential in the store. While it is
    /// [unsaved](State::Unsaved), the generation that it follows.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.stored.as_ref().map(|stored| stored.generation)
    }

    /// Returns a number that grows with each other credential, saved or not, and with each
    /// removal: what to compare to know whether rules and secrets have to be swapped.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns how often the credential was removed, or replaced by that of another grant, while it
    /// was watched: when this has grown, what is open with the old one has to be closed.
    #[must_use]
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// Returns how it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation())
            .field("revision", &self.revision)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
