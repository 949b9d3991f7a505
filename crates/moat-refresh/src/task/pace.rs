//! How fast a credential is refreshed, and what is known of its present generation.

use std::time::Duration;

use moat_store::Generation;
use time::OffsetDateTime;

use super::Swap;
use crate::deadline::{Deadline, Next, Provoked};
use crate::{Problem, Schedule};

/// What a task knows of a credential besides the credential itself. Outlives the task.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    generation: Option<Generation>,
    /// Tells one grant from another.
    pub(super) created_at: Option<OffsetDateTime>,
    /// When the present generation appeared, if that was seen.
    pub(super) obtained: Option<OffsetDateTime>,
    pub(super) next: Next,
    /// Keeps calls apart.
    pub(super) not_before: Deadline,
    /// How long the vendor asked to wait.
    pub(super) vendor_wait: Deadline,
    pub(super) failures: u32,
    pub(super) trouble: Option<Problem>,
    /// The generation whose 401 was acted on.
    pub(super) rejected: Option<Generation>,
    provoked: Provoked,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            generation: None,
            created_at: None,
            obtained: None,
            next: Next::Never,
            not_before: Deadline::over(),
            vendor_wait: Deadline::over(),
            failures: 0,
            trouble: None,
            rejected: None,
            provoked: Provoked::default(),
        }
    }
}

impl Pace {
    /// Notes which generation is there, and returns whether it is another than before.
    pub(super) fn note(
        &mut self,
        generation: Generation,
        created_at: OffsetDateTime,
        swap: Swap,
        now: OffsetDateTime,
        schedule: &Schedule,
    ) -> bool {
        if self.generation.replace(generation) == Some(generation) && !self.was_removed() {
            return false;
        }
        if swap == Swap::Saved {
            return false;
        }
        let earlier = self.created_at.replace(created_at);
        self.obtained = earlier.map(|_| now);
        self.not_before = if earlier == Some(created_at) {
            Deadline::after(now, schedule.spacing())
        } else {
            Deadline::over()
        };
        self.vendor_wait = Deadline::over();
        self.failures = 0;
        self.trouble = None;
        true
    }

    /// Whether a refresh makes sense now that nobody planned.
    pub(super) fn may_call(&mut self, now: OffsetDateTime) -> bool {
        !self.is_given_up() && self.may_ask(now)
    }

    /// Whether the vendor may be asked now that a person wants it.
    pub(super) fn may_ask(&mut self, now: OffsetDateTime) -> bool {
        self.not_before.is_over(now) && self.vendor_wait.is_over(now)
    }

    /// Whether a refresh failed for good.
    pub(super) fn is_given_up(&self) -> bool {
        matches!((self.next, &self.trouble), (Next::Never, Some(problem))
            if problem.kind() != crate::ProblemKind::Rejected)
    }

    fn was_removed(&self) -> bool {
        self.trouble.as_ref().is_some_and(|p| p.kind() == crate::ProblemKind::Removed)
    }

    /// Returns how long a refresh has to wait that a 401 provokes.
    pub(super) fn provoked_wait(&mut self, now: OffsetDateTime, schedule: &Schedule) -> Duration {
        let least = self.not_before.left(now).max(self.vendor_wait.left(now));
        self.provoked.wait(least, now, schedule)
    }
}
