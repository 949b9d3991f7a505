//! Law L3: two rules never claim one slot without being told apart.

use std::fmt;

use super::{Fill, Position, ProxyRules, Slot};
use crate::{CredentialKey, Error, ErrorKind, Placeholder, Relation, Result, SecretRef, Target};

/// What one rule claims of a request.
struct Claim<'a> {
    target: &'a Target,
    slots: Vec<Slot>,
    group: Option<&'a str>,
    grant: &'a CredentialKey,
    /// What the rule puts there; `None` for a signature.
    secret: Option<&'a SecretRef>,
    placeholders: &'a [Placeholder],
    fill: Fill,
}

pub(super) fn check(rules: &ProxyRules) -> Result<()> {
    let claims = claims(rules);
    check_pairs(&claims, Claim::check)?;
    check_pairs(&rules.answers, |first, second| {
        if same_or_partial(first.target(), second.target()) && first.answer() != second.answer() {
            let at = second.target();
            let (first, second) = (first.owner(), second.owner());
            return Err(conflict(first, second, "both answer in the vendor's place", at));
        }
        Ok(())
    })
}

fn check_pairs<T>(items: &[T], check: impl Fn(&T, &T) -> Result<()>) -> Result<()> {
    items.iter().enumerate().try_for_each(|(at, first)| {
        items[at + 1..].iter().try_for_each(|second| check(first, second))
    })
}

/// Neither wins over the other by being narrower.
fn same_or_partial(first: &Target, second: &Target) -> bool {
    matches!(first.relation(second), Relation::Same | Relation::Partial)
}

fn claims(rules: &ProxyRules) -> Vec<Claim<'_>> {
    let credentials = rules.credentials.iter().map(|rule| Claim {
        target: rule.target(),
        slots: rule.slots(),
        group: rule.group_name(),
        grant: rule.grant(),
        secret: Some(rule.secret()),
        placeholders: rule.placeholders(),
        fill: rule.fills(),
    });
    let substitutions = rules.substitutions.iter().map(|rule| Claim {
        target: rule.target(),
        slots: match rule.position() {
            Position::Header(header) => vec![Slot::Header(header.clone())],
            Position::QueryKey(key) => vec![Slot::QueryKey(key.clone())],
            _ => Vec::new(),
        },
        group: None,
        grant: rule.grant(),
        secret: Some(rule.secret()),
        placeholders: std::slice::from_ref(rule.placeholder()),
        fill: Fill::PlaceholderOnly,
    });
    let signers = rules.signers.iter().map(|rule| Claim {
        target: rule.target(),
        slots: rule.signer().claims().iter().cloned().map(Slot::Header).collect(),
        group: None,
        grant: rule.grant(),
        secret: None,
        placeholders: std::slice::from_ref(rule.placeholder()),
        fill: Fill::PlaceholderOnly,
    });
    credentials.chain(substitutions).chain(signers).collect()
}

impl Claim<'_> {
    fn check(&self, other: &Self) -> Result<()> {
        if !self.shares_slot(other) || !same_or_partial(self.target, other.target) {
            return Ok(());
        }
        // One secret stated twice goes to the same place either way.
        if self.secret.is_some() && self.secret == other.secret {
            return Ok(());
        }
        if [self.fill, other.fill] == [Fill::EmptyOrPlaceholder; 2] {
            let (first, second) = (self.grant, other.grant);
            let both = "would both authenticate an empty request";
            return Err(conflict(first, second, both, other.target).with_hint(format!(
                "start the run without one of them, or name {first} or {second} the default"
            )));
        }
        if self.placeholders.iter().any(|own| other.placeholders.contains(own)) {
            let both = "answer to the same placeholder";
            return Err(conflict(self.grant, other.grant, both, other.target));
        }
        Ok(())
    }

    fn shares_slot(&self, other: &Self) -> bool {
        (self.group.is_some() && self.group == other.group)
            || self.slots.iter().any(|slot| other.slots.contains(slot))
    }
}

fn conflict(first: &dyn fmt::Display, second: &dyn fmt::Display, both: &str, at: &Target) -> Error {
    Error::new(ErrorKind::Conflict, format!("{first} and {second} {both} at {at}"))
        .with_hint("start the run without one of them")
}
