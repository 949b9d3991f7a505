//! Filling a header with a credential.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{AnswerRewrite, HeaderTemplate, SecretRef};
use crate::{CredentialKey, Placeholder, Target};

/// Fills a header of matching requests with a secret.
///
/// The places in which a vendor looks for a credential form a [`SlotGroup`]. For one request at
/// most one rule of a group is used: the one whose placeholder came, else one that fills empty
/// slots; a narrower target goes before a wider one, and of one grant's rules that are not ranked so
/// the one that was stated first. A request whose slots hold anything else is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRule {
    target: Target,
    header: HeaderName,
    template: HeaderTemplate,
    secret: SecretRef,
    placeholders: Vec<Placeholder>,
    fill: Fill,
    client_credential: ClientCredential,
    group: Option<SlotGroup>,
    when_used: Vec<Companion>,
}

impl CredentialRule {
    /// Makes a rule that fills an empty slot, without placeholders and in a group of its own.
    #[must_use]
    pub fn new(
        target: Target,
        header: HeaderName,
        template: HeaderTemplate,
        secret: SecretRef,
    ) -> Self {
        Self {
            target,
            header,
            template,
            secret,
            placeholders: Vec::new(),
            fill: Fill::EmptyOrPlaceholder,
            client_credential: ClientCredential::PolicyDecides,
            group: None,
            when_used: Vec::new(),
        }
    }

    /// Adds a placeholder that asks for this rule.
    #[must_use]
    pub fn placeholder(mut self, placeholder: Placeholder) -> Self {
        self.placeholders.push(placeholder);
        self
    }

    /// Sets which slots are filled.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }

    /// Sets what happens to a credential that the client brings itself.
    #[must_use]
    pub fn client_credential(mut self, handling: ClientCredential) -> Self {
        self.client_credential = handling;
        self
    }

    /// Puts the rule into a group.
    #[must_use]
    pub fn group(mut self, group: SlotGroup) -> Self {
        self.group = Some(group);
        self
    }

    /// Adds what else happens to a request for which this rule is used.
    #[must_use]
    pub fn when_used(mut self, companion: Companion) -> Self {
        self.when_used.push(companion);
        self
    }

    /// Returns which requests match.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the header that is set.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Returns how its value is made.
    #[must_use]
    pub fn template(&self) -> &HeaderTemplate {
        &self.template
    }

    /// Returns which secret is used.
    #[must_use]
    pub fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// Returns the grant whose rule this is.
    #[must_use]
    pub fn grant(&self) -> &CredentialKey {
        self.secret.grant()
    }

    /// Returns the placeholders that ask for this rule.
    #[must_use]
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// Returns which slots are filled.
    #[must_use]
    pub fn fills(&self) -> Fill {
        self.fill
    }

    /// Returns what happens to a credential that the client brings itself.
    #[must_use]
    pub fn on_client_credential(&self) -> ClientCredential {
        self.client_credential
    }

    /// Returns the name of the group; `None` when the header is its only slot.
    #[must_use]
    pub fn group_name(&self) -> Option<&str> {
        self.group.as_ref().map(SlotGroup::name)
    }

    /// Returns the places that authenticate: those of the group, and the header itself.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        let own = Slot::Header(self.header.clone());
        let mut slots = self.group.as_ref().map_or_else(Vec::new, |group| group.slots.clone());
        if !slots.contains(&own) {
            slots.push(own);
        }
        slots
    }

    /// Returns what else happens to a request for which this rule is used.
    #[must_use]
    pub fn companions(&self) -> &[Companion] {
        &self.when_used
    }
}

/// Which slots a rule fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Only one that carries the rule's placeholder.
    PlaceholderOnly,
    /// One that carries the rule's placeholder, and the group when all its slots are empty.
    EmptyOrPlaceholder,
}

/// What happens to a credential that the client brings itself: one that is no placeholder of ours.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCredential {
    /// It passes in a permissive run and is refused in a strict one.
    PolicyDecides,
    /// It passes: the vendor hands out credentials of a session here, and clients bring them back.
    Passes,
}

/// A place of a request where a vendor looks for a credential.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// A header.
    Header(HeaderName),
    /// A key of the query.
    QueryKey(Cow<'static, str>),
    /// A cookie.
    Cookie(Cow<'static, str>),
}

/// The places in which one vendor looks for a credential, under a name.
///
/// Rules of several grants that name the same group exclude each other for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotGroup {
    name: Cow<'static, str>,
    slots: Vec<Slot>,
}

impl SlotGroup {
    /// Makes a group. The name is unique to the vendor: `anthropic-api`.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, slots: impl IntoIterator<Item = Slot>) -> Self {
        Self { name: name.into(), slots: slots.into_iter().collect() }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the places.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// What happens to a request, or to its answer, along with the rule that was used for it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Companion {
    /// Sets a header, whatever the client sent.
    SetHeader(HeaderName, HeaderValue),
    /// Adds a member to a list-valued header (RFC 9110, section 5.6.1) unless it is there.
    AppendToList(HeaderName, HeaderValue),
    /// Removes a header of the client's.
    RemoveHeader(HeaderName),
    /// Replaces an answer.
    RewriteAnswer(AnswerRewrite),
}
