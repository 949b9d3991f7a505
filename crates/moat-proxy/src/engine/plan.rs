//! What becomes of a request: the outcome of applying the rules to its head.

use std::fmt;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use http::request;
use moat_provider_core::{BodySigner, CredentialKey, LocalAnswer, SecretRef, Target};

use super::answer::AnswerPlan;
use super::body::HeldBody;
use super::not_used::NotUsed;
use crate::Refusal;

/// What is to be done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on, changed.
    Forward(Box<Plan>),
    /// A rule answers it in the vendor's place.
    Answer(Box<LocalAnswer>),
    /// It is refused.
    Refuse(Refusal),
}

/// What was done to a request's head, and what is still to do with its body and its answer.
#[derive(Default)]
pub struct Plan {
    pub(super) used: Vec<Used>,
    pub(super) not_used: Option<NotUsed>,
    pub(super) body: BodyPlan,
    pub(super) answer: AnswerPlan,
}

/// What is to be done with a request's body.
#[derive(Default)]
pub(super) enum BodyPlan {
    #[default]
    Stream,
    Sign(Box<dyn BodySigner>),
    Hold(Box<HeldBody>),
}

/// What is to be done with a request's body.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNeed {
    /// Nothing: it streams untouched.
    Stream,
    /// It streams through [`Plan::take_body_signer`].
    Sign,
    /// It is collected and handed to [`Plan::finish_body`], with the head, before either is sent. A
    /// body above the limit is answered with
    /// [`Reason::BodyTooLong`](crate::Reason::BodyTooLong).
    Hold {
        /// The bound in bytes.
        limit: usize,
    },
}

impl Plan {
    /// Returns the rules that put a secret into the request. Complete once the body is finished.
    #[must_use]
    pub fn used(&self) -> &[Used] {
        &self.used
    }

    /// Returns why there is none.
    #[must_use]
    pub fn not_used(&self) -> Option<NotUsed> {
        self.not_used.filter(|_| self.used.is_empty())
    }

    /// Returns what is to be done with the body.
    #[must_use]
    pub fn body(&self) -> BodyNeed {
        match &self.body {
            BodyPlan::Stream => BodyNeed::Stream,
            BodyPlan::Sign(_) => BodyNeed::Sign,
            BodyPlan::Hold(held) => BodyNeed::Hold { limit: held.limit() },
        }
    }

    /// Takes what signs the body while it streams, if [`BodyNeed::Sign`] asks for it.
    #[must_use]
    pub fn take_body_signer(&mut self) -> Option<Box<dyn BodySigner>> {
        match mem::take(&mut self.body) {
            BodyPlan::Sign(signer) => Some(signer),
            other => {
                self.body = other;
                None
            }
        }
    }

    /// Finishes a body that was held, and its head: returns what goes to the vendor.
    ///
    /// # Errors
    ///
    /// A refusal; nothing may be sent then.
    pub fn finish_body(
        &mut self,
        body: Bytes,
        head: &mut request::Parts,
    ) -> Result<Bytes, Refusal> {
        match mem::take(&mut self.body) {
            BodyPlan::Hold(held) => held.finish(body, head, &mut self.used, &mut self.answer),
            other => {
                self.body = other;
                Ok(body)
            }
        }
    }

    /// Returns what is to be done with the answer. Complete once the body is finished.
    #[must_use]
    pub fn answer(&self) -> &AnswerPlan {
        &self.answer
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("used", &self.used)
            .field("not_used", &self.not_used())
            .field("body", &self.body())
            .finish_non_exhaustive()
    }
}

/// A rule that put a secret into a request.
#[derive(Clone, Debug)]
pub struct Used {
    label: Arc<RuleLabel>,
    how: How,
}

impl Used {
    pub(super) fn new(label: &Arc<RuleLabel>, how: How) -> Self {
        Self { label: label.clone(), how }
    }

    /// Returns the rule's label, its target and slot: `api.github.com/** authorization`.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.label.text
    }

    /// Returns the same, to be kept.
    pub(crate) fn shared_rule(&self) -> Arc<str> {
        Arc::clone(&self.label.text)
    }

    /// Returns the grant's name, to be kept.
    pub(crate) fn shared_grant(&self) -> Option<Arc<str>> {
        self.label.grant.clone()
    }

    /// Returns where the secret went: a header's name, `query key`, `path`, `signature`.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.label.text[self.label.slot..]
    }

    /// Returns which secrets were used: one, or those that the signer was handed.
    #[must_use]
    pub fn secrets(&self) -> &[SecretRef] {
        &self.label.secrets
    }

    /// Returns the grant; `None` for a signer that needs no secret.
    #[must_use]
    pub fn grant(&self) -> Option<&CredentialKey> {
        self.label.secrets.first().map(SecretRef::grant)
    }

    /// Returns what made the rule apply.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }
}

/// What made a rule apply.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// The places that authenticate were empty.
    Empty,
    /// The rule's placeholder was there.
    Placeholder,
    /// The placeholder stood at a declared position.
    Substituted,
    /// The request was signed with the run's dummy key.
    Signed,
}

impl How {
    /// Returns the stable code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Placeholder => "placeholder",
            Self::Substituted => "substituted",
            Self::Signed => "signed",
        }
    }
}

/// What a record says of a rule. Made once per rule, so that requests only count references.
#[derive(Debug)]
pub(super) struct RuleLabel {
    pub(super) text: Arc<str>,
    /// Where the slot begins in the text.
    slot: usize,
    /// The name of the grant whose secrets they are.
    grant: Option<Arc<str>>,
    secrets: Vec<SecretRef>,
}

impl RuleLabel {
    pub(super) fn new(
        target: &Target,
        slot: &str,
        secrets: impl IntoIterator<Item = SecretRef>,
    ) -> Self {
        let text: Arc<str> = format!("{target} {slot}").into();
        let secrets: Vec<SecretRef> = secrets.into_iter().collect();
        let grant = secrets.first().map(|secret| secret.grant().to_string().into());
        Self { slot: text.len() - slot.len(), text, grant, secrets }
    }
}
