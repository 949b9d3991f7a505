//! What is wrong with a credential, in a sentence, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{CredentialKey, Error, ErrorKind};
use moat_store::{StoreError, StoreErrorKind};

/// What is wrong with a credential, as far as a host acts on it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// There is no such credential, or no longer: what is open with it should be closed.
    Removed,
    /// The vendor has revoked it: only a new grant helps.
    Revoked,
    /// It is past its expiry, and cannot be renewed.
    Expired,
    /// It is to be renewed now, and there is nothing to renew it with.
    NotRenewable,
    /// The vendor did not accept it in a request, and nothing newer is to be had. It may still be
    /// good: a container can provoke that answer.
    Rejected,
    /// Another program refreshes it, and has to be asked.
    OwnedElsewhere,
    /// The vendor cannot be reached. It is tried again.
    Offline,
    /// The vendor did not do it this time. It is tried again.
    Transient,
    /// The vendor or its tool failed in a way that does not pass by itself. It is tried again,
    /// slowly, because the person may mend it.
    Failed,
    /// The store could not be read, or not be written. It is tried again.
    Store,
    /// Another process has the lease and does not come to an end. It is tried again.
    Busy,
    /// This program was built without the provider.
    NoProvider,
    /// The engine was shut down, or its task ended.
    Ended,
}

impl ProblemKind {
    /// Whether only the person can help.
    #[must_use]
    pub const fn needs_person(self) -> bool {
        matches!(
            self,
            Self::Removed
                | Self::Revoked
                | Self::Expired
                | Self::NotRenewable
                | Self::Rejected
                | Self::OwnedElsewhere
                | Self::Failed
                | Self::NoProvider
        )
    }
}

/// What is wrong with one credential: a sentence, and what the person can do.
///
/// Cheap to clone, and shared by all who wait for one refresh. [`Display`](fmt::Display) prints the
/// sentence alone, a lower-case fragment without a full stop; no part of it is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    kind: ProblemKind,
    key: CredentialKey,
    message: String,
    hint: String,
    error: Option<ErrorKind>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.0.kind
    }

    /// Returns which credential it is about.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.0.key
    }

    /// Returns the sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what the person can do: best a command that can be pasted.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    fn new(
        kind: ProblemKind,
        key: &CredentialKey,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        let key = key.clone();
        Self(Arc::new(Inner { kind, key, message, hint, error: None, retry_after: None }))
    }

    pub(crate) fn removed(key: &CredentialKey) -> Self {
        let message = format!("there is no credential {key}, or no longer");
        Self::new(ProblemKind::Removed, key, message, grant(key))
    }

    pub(crate) fn expired(key: &CredentialKey) -> Self {
        let message = format!("{key} has expired and cannot be renewed");
        Self::new(ProblemKind::Expired, key, message, grant(key))
    }

    pub(crate) fn not_renewable(key: &CredentialKey, life: Life) -> Self {
        if life == Life::Expired {
            return Self::expired(key);
        }
        let message = format!("{key} cannot be renewed, only granted anew");
        Self::new(ProblemKind::NotRenewable, key, message, grant(key))
    }

    pub(crate) fn awaits_renewal(key: &CredentialKey) -> Self {
        let message = format!("{key} has expired and is about to be renewed");
        Self::new(ProblemKind::Transient, key, message, BY_ITSELF)
    }

    pub(crate) fn rejected(key: &CredentialKey) -> Self {
        let message = format!("the vendor did not accept {key} in a request");
        let hint = format!("{}, if this was not a mistake of the request", grant(key));
        Self::new(ProblemKind::Rejected, key, message, hint)
    }

    /// Tells of a login that this host could refresh as well.
    pub(crate) fn owned(key: &CredentialKey, by: &str, life: Life) -> Self {
        let copied = Self::copied(key, by, life);
        let hint = format!(
            "{}; when {by} is done with it for good: moat grant claim {key}",
            copied.hint()
        );
        Self::new(copied.kind(), key, copied.message().to_owned(), hint)
    }

    /// Tells of a login that only its owner can refresh.
    pub(crate) fn copied(key: &CredentialKey, by: &str, life: Life) -> Self {
        let has_expired = match life {
            Life::Good => "",
            Life::Expired => " and has expired",
        };
        let message = format!("{key} is a copy of a login that {by} refreshes{has_expired}");
        let hint = format!("{} for a login of its own, or again after {by} has run", grant(key));
        Self::new(ProblemKind::OwnedElsewhere, key, message, hint)
    }

    pub(crate) fn busy(key: &CredentialKey) -> Self {
        let message = format!("another process has been refreshing {key} for too long");
        let hint = "it is tried again by itself; look at the other programs that use this store";
        Self::new(ProblemKind::Busy, key, message, hint)
    }

    pub(crate) fn timed_out(key: &CredentialKey) -> Self {
        let message = format!("the refresh of {key} did not come to an end");
        Self::new(ProblemKind::Transient, key, message, BY_ITSELF)
    }

    pub(crate) fn wrong_key(key: &CredentialKey) -> Self {
        let message = format!("the provider renewed another credential in place of {key}");
        Self::new(ProblemKind::Failed, key, message, "report a bug of the provider")
    }

    pub(crate) fn no_provider(key: &CredentialKey, error: &Error) -> Self {
        let hint = error.hint().unwrap_or("register the provider").to_owned();
        Self::new(ProblemKind::NoProvider, key, error.message(), hint)
    }

    pub(crate) fn mints_nothing(key: &CredentialKey) -> Self {
        let message = format!("{} derives no secrets for a run", key.provider());
        Self::new(ProblemKind::NoProvider, key, message, "use the credential itself")
    }

    pub(crate) fn ended(key: &CredentialKey) -> Self {
        let message = format!("{key} is no longer kept fresh, because the program is ending");
        Self::new(ProblemKind::Ended, key, message, "start the program again")
    }

    pub(crate) fn unsaved(key: &CredentialKey, error: &StoreError) -> Self {
        let message = format!(
            "the renewed {key} could not be saved, and would be lost with this process: {error}"
        );
        let hint = error.hint().unwrap_or("let this program run, and mend the store").to_owned();
        Self::new(ProblemKind::Store, key, message, hint)
    }

    pub(crate) fn of_store(key: &CredentialKey, error: &StoreError) -> Self {
        if error.kind() == StoreErrorKind::NotFound {
            return Self::removed(key);
        }
        let message = format!("the store could not be asked for {key}: {error}");
        let hint = match (error.hint(), error.kind()) {
            (Some(hint), _) => hint.to_owned(),
            (None, StoreErrorKind::Damaged | StoreErrorKind::CannotDecrypt) => {
                format!("moat revoke {key} && {}", grant(key))
            }
            (None, _) => "look at the store's directory and its key".to_owned(),
        };
        Self::new(ProblemKind::Store, key, message, hint)
    }

    /// Judges what a provider answered.
    pub(crate) fn of_provider(key: &CredentialKey, error: &Error) -> Self {
        let (kind, hint) = match error.kind() {
            ErrorKind::TokenRevoked | ErrorKind::Unauthenticated => {
                (ProblemKind::Revoked, grant(key))
            }
            ErrorKind::CredentialExpired | ErrorKind::RefreshNotSupported => {
                (ProblemKind::Expired, grant(key))
            }
            ErrorKind::Offline => {
                (ProblemKind::Offline, "look at the network; it is tried again by itself".into())
            }
            kind if kind.is_transient() => (ProblemKind::Transient, BY_ITSELF.into()),
            _ => (ProblemKind::Failed, grant(key)),
        };
        let problem = Inner {
            kind,
            key: key.clone(),
            message: format!("{key} could not be renewed: {error}"),
            hint: error.hint().map_or(hint, str::to_owned),
            error: Some(error.kind()),
            retry_after: error.retry_after(),
        };
        Self(Arc::new(problem))
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the kind of the provider's error, for the log.
    pub(crate) fn error_kind(&self) -> Option<ErrorKind> {
        self.0.error
    }
}

/// Whether something is past its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Good,
    Expired,
}

const BY_ITSELF: &str = "it is tried again by itself; look at the vendor's status page";

fn grant(key: &CredentialKey) -> String {
    format!("moat grant {key}")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .finish_non_exhaustive()
    }
}

impl StdError for Problem {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let kind = problem.0.error.unwrap_or(match problem.kind() {
            ProblemKind::Removed => ErrorKind::CredentialNotFound,
            ProblemKind::Revoked | ProblemKind::Rejected => ErrorKind::TokenRevoked,
            ProblemKind::Expired | ProblemKind::OwnedElsewhere => ErrorKind::CredentialExpired,
            ProblemKind::NotRenewable => ErrorKind::RefreshNotSupported,
            ProblemKind::Offline => ErrorKind::Offline,
            ProblemKind::Store => ErrorKind::Io,
            ProblemKind::NoProvider => ErrorKind::ProviderNotFound,
            ProblemKind::Failed => ErrorKind::UnexpectedAnswer,
            ProblemKind::Transient | ProblemKind::Busy | ProblemKind::Ended => {
                ErrorKind::Unavailable
            }
        });
        Self::new(kind, problem.message().to_owned()).with_hint(problem.hint().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::ProviderName;

    use super::*;

    #[test]
    fn what_a_provider_answers_decides_what_is_done() {
        let key = CredentialKey::new(ProviderName::from_static("github"));
        for (error, kind, needs_person) in [
            (ErrorKind::TokenRevoked, ProblemKind::Revoked, true),
            (ErrorKind::Unauthenticated, ProblemKind::Revoked, true),
            (ErrorKind::CredentialExpired, ProblemKind::Expired, true),
            (ErrorKind::RefreshNotSupported, ProblemKind::Expired, true),
            (ErrorKind::Offline, ProblemKind::Offline, false),
            (ErrorKind::RateLimited, ProblemKind::Transient, false),
            (ErrorKind::Unavailable, ProblemKind::Transient, false),
            (ErrorKind::TimedOut, ProblemKind::Transient, false),
            (ErrorKind::PermissionDenied, ProblemKind::Failed, true),
            (ErrorKind::UnexpectedAnswer, ProblemKind::Failed, true),
            (ErrorKind::CommandNotFound, ProblemKind::Failed, true),
        ] {
            let problem = Problem::of_provider(&key, &Error::new(error, "so it went"));
            assert_eq!(problem.kind(), kind, "{error:?}");
            assert_eq!(problem.kind().needs_person(), needs_person, "{error:?}");
            assert_eq!(problem.hint() == "moat grant github", needs_person, "{problem:?}");
            assert_eq!(problem.to_string(), "github could not be renewed: so it went");
            assert_eq!(Error::from(problem).kind(), error);
        }
    }

    #[test]
    fn a_hint_of_those_who_know_more_comes_first() {
        let key = CredentialKey::new(ProviderName::from_static("github"));
        let error = Error::new(ErrorKind::TokenRevoked, "gone").with_hint("gh auth login");
        assert_eq!(Problem::of_provider(&key, &error).hint(), "gh auth login");
        let damaged = StoreError::new(StoreErrorKind::Damaged, "cut short");
        let problem = Problem::of_store(&key, &damaged);
        assert_eq!(problem.hint(), "moat revoke github && moat grant github");
        let missing = Problem::of_store(&key, &StoreError::not_found(&key));
        assert_eq!(missing.kind(), ProblemKind::Removed);
    }
}
