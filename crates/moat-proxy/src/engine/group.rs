//! Slot groups: which of the rules that fit a request is used, if any (law L7).

use std::sync::Arc;

use http::{HeaderName, request};
use moat_provider_core::{ClientCredential, Fill, Position, Slot};
use smallvec::{SmallVec, smallvec};

use super::apply::{Few, Matched};
use super::carried::{Known, find_reading};
use super::not_used::NotUsed;
use super::plan::{How, Plan, Used};
use super::table::{Filling, first, header_slots};
use super::{companions, hygiene, slots, substitute};
use crate::{Mode, Reason, Refusal};

/// Rules of a request that share slots, directly or through others, or the name of a group.
struct Group<'a> {
    rules: Few<&'a Arc<Filling>>,
    slots: Few<&'a Slot>,
}

/// What one value in a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found<'a> {
    /// A placeholder of this run.
    Placeholder(&'a str),
    /// A placeholder of another run.
    Stale,
    /// A signature that was made anew.
    Signature,
    /// Anything else: a credential of the client's own.
    Own,
}

/// What becomes of a group.
enum Decision<'a> {
    Use(&'a Arc<Filling>, How),
    Leave(Option<NotUsed>),
}

/// What deciding needs to know.
pub(super) struct Surroundings<'a, 'm> {
    pub(super) known: &'a Known,
    pub(super) mode: Mode,
    pub(super) matched: &'a Matched<'m>,
    /// The headers of the signature, when the request was signed.
    pub(super) signed: &'a [HeaderName],
}

/// Uses at most one rule of each group, and returns which headers were filled.
///
/// # Errors
///
/// A refusal.
pub(super) fn apply(
    request: &mut request::Parts,
    around: &Surroundings<'_, '_>,
    plan: &mut Plan,
) -> Result<Few<HeaderName>, Refusal> {
    let of_host = around.matched.buckets.iter().flat_map(|bucket| &bucket.slots);
    hygiene::remove_variants(&mut request.headers, header_slots(of_host));
    let groups = groups(&around.matched.credentials);
    let mut used: Few<&Arc<Filling>> = Few::new();
    for group in &groups {
        let decision = group.decide(request, around).map_err(|reason| group.refusal(reason))?;
        match decision {
            Decision::Use(rule, how) => {
                let header = rule.rule.header();
                // What is put in there replaces all that is there.
                let is_filled =
                    |slot: &&&Slot| matches!(slot, Slot::Header(name) if name == header);
                for slot in group.slots.iter().filter(|slot| !is_filled(slot)) {
                    slots::clear(request, slot)?;
                }
                request.headers.insert(header.clone(), rule.value.clone());
                plan.used.push(Used::new(&rule.label, how));
                used.push(rule);
            }
            Decision::Leave(why) => plan.not_used = plan.not_used.or(why),
        }
    }
    let in_groups = |slot: &Slot| groups.iter().any(|group| group.slots.contains(&slot));
    check_other_slots(request, around, in_groups)?;
    companions::apply(request, &used, around.matched.path, plan);
    Ok(used.iter().map(|rule| rule.rule.header().clone()).collect())
}

/// Looks at slots of the host whose rules do not fit the request: nothing is filled there, but a
/// stale placeholder goes nowhere, and in a strict run neither does a credential of the client's.
fn check_other_slots(
    request: &request::Parts,
    around: &Surroundings<'_, '_>,
    is_done: impl Fn(&Slot) -> bool,
) -> Result<(), Refusal> {
    let check = |slot: &Slot| {
        slots::for_each_value(request, slot, |value| {
            let mut result = Ok(());
            classify(value, slot, around, |found| match found {
                Found::Stale => result = Err(Reason::StalePlaceholder),
                Found::Own if around.mode == Mode::Strict => {
                    result = Err(Reason::ClientCredential);
                }
                _ => {}
            });
            result
        })
    };
    let of_host = around.matched.buckets.iter().flat_map(|bucket| &bucket.slots);
    for slot in of_host.filter(|slot| !is_done(slot)) {
        check(slot)?;
    }
    for rule in &around.matched.substitutions {
        let slot = match rule.rule.position() {
            Position::Header(name) => Slot::Header(name.clone()),
            Position::QueryKey(key) => Slot::QueryKey(key.clone()),
            _ => continue,
        };
        if !is_done(&slot) {
            check(&slot)?;
        }
    }
    Ok(())
}

fn groups<'a>(rules: &[&'a Arc<Filling>]) -> SmallVec<[Group<'a>; 1]> {
    let mut groups: SmallVec<[Group<'a>; 1]> = SmallVec::new();
    for rule in rules {
        let mut joined = Group { rules: smallvec![*rule], slots: rule.slots.iter().collect() };
        let (touching, apart) = groups.into_iter().partition(|group| group.touches(rule));
        groups = apart;
        let touching: SmallVec<[Group<'a>; 1]> = touching;
        for group in touching {
            joined.rules.extend(group.rules);
            for slot in group.slots {
                if !joined.slots.contains(&slot) {
                    joined.slots.push(slot);
                }
            }
        }
        groups.push(joined);
    }
    groups
}

impl<'a> Group<'a> {
    fn touches(&self, rule: &Filling) -> bool {
        let name = rule.rule.group_name();
        rule.slots.iter().any(|slot| self.slots.contains(&slot))
            || (name.is_some() && self.rules.iter().any(|own| own.rule.group_name() == name))
    }

    fn refusal(&self, reason: Reason) -> Refusal {
        match first(&self.rules) {
            Some(rule) => Refusal::new(reason).rule(&rule.label.text),
            None => reason.into(),
        }
    }

    fn decide(
        &self,
        request: &request::Parts,
        around: &Surroundings<'_, '_>,
    ) -> Result<Decision<'a>, Reason> {
        let found = self.values(request, around)?;
        if found.contains(&Found::Stale) {
            return Err(Reason::StalePlaceholder);
        }
        if found.is_empty() {
            return Ok(self.fill());
        }
        let placeholders: Few<&str> = found
            .iter()
            .filter_map(|found| match found {
                Found::Placeholder(text) => Some(*text),
                _ => None,
            })
            .collect();
        if placeholders.len() == found.len()
            && let Some(rule) = self.asked_for(&placeholders)
        {
            return Ok(Decision::Use(rule, How::Placeholder));
        }
        if let [only] = *found {
            return self.leave(only, around);
        }
        // Several, and no rule answers to all of them.
        let belongs_here = |found: &Found| match found {
            Found::Placeholder(text) => self.knows(text) || substitute::asks(around.matched, text),
            Found::Signature => true,
            Found::Own | Found::Stale => false,
        };
        if found.iter().any(belongs_here) {
            return Err(Reason::MixedCredentials);
        }
        let own = found.contains(&Found::Own);
        self.leave(if own { Found::Own } else { found[0] }, around)
    }

    /// What stands in the slots, each once.
    fn values<'b>(
        &self,
        request: &request::Parts,
        around: &Surroundings<'b, '_>,
    ) -> Result<Few<Found<'b>>, Reason> {
        let mut all = Few::new();
        for slot in &self.slots {
            slots::for_each_value(request, slot, |value| {
                classify(value, slot, around, |found| {
                    if !all.contains(&found) {
                        all.push(found);
                    }
                });
                Ok(())
            })?;
        }
        Ok(all)
    }

    fn fill(&self) -> Decision<'a> {
        let fillers: Few<&'a Arc<Filling>> = self
            .rules
            .iter()
            .copied()
            .filter(|rule| rule.rule.fills() == Fill::EmptyOrPlaceholder)
            .collect();
        match first(&fillers) {
            Some(rule) => Decision::Use(rule, How::Empty),
            None => Decision::Leave(Some(NotUsed::NoPlaceholder)),
        }
    }

    /// The rule that answers to all of some placeholders.
    fn asked_for(&self, placeholders: &[&str]) -> Option<&'a Arc<Filling>> {
        let asked: Few<&'a Arc<Filling>> = self
            .rules
            .iter()
            .copied()
            .filter(|rule| placeholders.iter().all(|text| answers_to(rule, text)))
            .collect();
        first(&asked)
    }

    fn knows(&self, text: &str) -> bool {
        self.rules.iter().any(|rule| answers_to(rule, text))
    }

    fn leave(
        &self,
        found: Found<'_>,
        around: &Surroundings<'_, '_>,
    ) -> Result<Decision<'a>, Reason> {
        match found {
            Found::Own => {
                let passes = first(&self.rules).is_some_and(|rule| {
                    rule.rule.on_client_credential() == ClientCredential::Passes
                });
                if around.mode == Mode::Strict && !passes {
                    return Err(Reason::ClientCredential);
                }
                Ok(Decision::Leave(Some(NotUsed::ClientCredential)))
            }
            Found::Placeholder(text) if substitute::asks(around.matched, text) => {
                Ok(Decision::Leave(None))
            }
            Found::Placeholder(_) => Ok(Decision::Leave(Some(NotUsed::OtherPlaceholder))),
            Found::Signature => Ok(Decision::Leave(None)),
            Found::Stale => Err(Reason::StalePlaceholder),
        }
    }
}

fn answers_to(rule: &Filling, text: &str) -> bool {
    rule.rule.placeholders().iter().any(|own| own.as_str() == text)
}

/// Calls back with what a value is: most are one thing, Basic credentials can be two.
fn classify<'a>(
    value: Option<&str>,
    slot: &Slot,
    around: &Surroundings<'a, '_>,
    mut found: impl FnMut(Found<'a>),
) {
    if let Slot::Header(name) = slot
        && around.signed.contains(name)
    {
        return found(Found::Signature);
    }
    let mut is_own = true;
    let _: Option<()> = find_reading(value.unwrap_or_default(), |text| {
        if let Some(own) = around.known.own(text) {
            found(Found::Placeholder(own));
            is_own = false;
        } else if around.known.is_foreign(text) {
            found(Found::Stale);
            is_own = false;
        }
        None
    });
    if is_own {
        found(Found::Own);
    }
}
