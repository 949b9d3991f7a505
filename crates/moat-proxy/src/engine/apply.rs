//! One request's way through the rules.

use std::sync::Arc;

use http::{Method, request};
use moat_provider_core::{LocalAnswer, Target, TransformRule};
use smallvec::SmallVec;
use time::OffsetDateTime;

use super::generation::{Generation, HostRules};
use super::group::{self, Surroundings};
use super::media::MethodField;
use super::not_used::NotUsed;
use super::plan::{Plan, Verdict};
use super::table::{Bucket, Filling, Issuing, Signing, Stated, Substituting, first};
use super::{body, hygiene, issuing, sign, substitute};
use crate::path::NearPath;
use crate::{Reason, Refusal};

/// Where a request goes, as it was verified: the authority of the tunnel, which the certificate of
/// the server and the request's own authority agree with (law L6).
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    host: &'a HostRules,
    path: &'a str,
    other_readings: &'a [&'a str],
    method_is_open: bool,
}

impl<'a> Place<'a> {
    /// Names a canonical path, without the query, at a host that the generation was asked about.
    #[must_use]
    pub fn new(host: &'a HostRules, path: &'a str) -> Self {
        Self { host, path, other_readings: &[], method_is_open: false }
    }

    /// Adds other readings of the path: those that some server takes the same bytes for (law L8).
    #[must_use]
    pub fn or_read_as(mut self, paths: &'a [&'a str]) -> Self {
        self.other_readings = paths;
        self
    }

    /// Leaves the method open: some server takes it from the query of the request (law L8).
    #[must_use]
    pub fn or_by_another_method(mut self) -> Self {
        self.method_is_open = true;
        self
    }

    /// Whether a target covers a request here.
    ///
    /// # Errors
    ///
    /// [`Reason::PathAmbiguous`] when that depends on how the path is read, and
    /// [`Reason::MethodAmbiguous`] when it depends on the method and that is open.
    pub(super) fn is_in(&self, target: &Target, method: &Method) -> Result<bool, Reason> {
        let is_named = |name: &String| name == method.as_str();
        self.fits(target, is_named, self.readings(), |path| target.path_pattern().matches(path))
    }

    /// Whether a request here is one to an issuing endpoint, which is read more widely than a rule
    /// that fills something in: what slips past it is lost. Methods and the letters of the path
    /// count in either case, and the path with a slash or the name of a format at its end. Where
    /// the host is a wildcard, there may be objects by such names.
    ///
    /// # Errors
    ///
    /// Those of [`is_in`](Self::is_in).
    fn is_near(
        &self,
        issuing: &Issuing,
        method: &Method,
        readings: &[NearPath],
    ) -> Result<bool, Reason> {
        let (target, near) = (issuing.endpoint.target(), &issuing.near);
        let is_named = |name: &String| name.eq_ignore_ascii_case(method.as_str());
        let exact = target.host_pattern().is_wildcard();
        self.fits(target, is_named, readings.iter(), |path| match exact {
            true => path.is_of(near),
            false => path.is_of_in_some_format(near),
        })
    }

    /// Whether a request here would be one to an issuing endpoint if it had another method.
    fn is_near_by_another_method(
        &self,
        issuing: &Issuing,
        method: &Method,
        readings: &[NearPath],
    ) -> bool {
        let target = issuing.endpoint.target();
        let is_named = |name: &String| name.eq_ignore_ascii_case(method.as_str());
        target.method_names().is_some_and(|names| !names.iter().any(is_named)) && {
            let open = Self { method_is_open: true, ..*self };
            open.is_near(issuing, method, readings).is_err()
        }
    }

    fn readings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        std::iter::once(self.path).chain(self.other_readings.iter().copied())
    }

    fn fits<R>(
        &self,
        target: &Target,
        is_named: impl Fn(&String) -> bool,
        mut readings: impl Iterator<Item = R>,
        is_there: impl Fn(R) -> bool,
    ) -> Result<bool, Reason> {
        if !target.host_pattern().matches(&self.host.host, self.host.port) {
            return Ok(false);
        }
        match target.method_names() {
            Some(_) if self.method_is_open => match readings.any(is_there) {
                true => return Err(Reason::MethodAmbiguous),
                false => return Ok(false),
            },
            Some(names) if !names.iter().any(is_named) => return Ok(false),
            _ => {}
        }
        let fit = readings.next().is_some_and(&is_there);
        if readings.any(|reading| is_there(reading) != fit) {
            return Err(Reason::PathAmbiguous);
        }
        Ok(fit)
    }
}

/// Most requests fit one rule of a kind, or none.
pub(super) type Few<T> = SmallVec<[T; 2]>;

/// The rules that fit a request, of each kind.
#[derive(Default)]
pub(super) struct Matched<'a> {
    /// Everything that is stated for the host.
    pub(super) buckets: &'a [Arc<Bucket>],
    /// The canonical path.
    pub(super) path: &'a str,
    pub(super) credentials: Few<&'a Arc<Filling>>,
    pub(super) substitutions: Few<&'a Arc<Substituting>>,
    pub(super) signers: Few<&'a Arc<Signing>>,
    pub(super) issuing: Few<&'a Arc<Issuing>>,
    /// Issuing endpoints that the request would go to if it had another method.
    by_method: Few<&'a Arc<Issuing>>,
    answers: Few<&'a Arc<Stated<LocalAnswer>>>,
    transforms: Few<&'a (usize, TransformRule)>,
}

impl<'a> Matched<'a> {
    fn new(request: &request::Parts, place: &Place<'a>) -> Result<Self, Refusal> {
        let method = &request.method;
        let buckets = &*place.host.buckets;
        let mut matched = Self { buckets, path: place.path, ..Self::default() };
        let issues = buckets.iter().any(|bucket| !bucket.issuing.is_empty());
        let near: Vec<NearPath> = match issues {
            true => place.readings().map(NearPath::new).collect(),
            false => Vec::new(),
        };
        for bucket in buckets {
            keep(&mut matched.credentials, &bucket.credentials, |rule| {
                place.is_in(rule.rule.target(), method)
            })?;
            keep(&mut matched.substitutions, &bucket.substitutions, |rule| {
                place.is_in(rule.rule.target(), method)
            })?;
            keep(&mut matched.signers, &bucket.signers, |rule| {
                place.is_in(rule.rule.target(), method)
            })?;
            keep(&mut matched.issuing, &bucket.issuing, |rule| place.is_near(rule, method, &near))?;
            if issues && MethodField::of(method, &request.headers).is_some() {
                keep(&mut matched.by_method, &bucket.issuing, |rule| {
                    Ok(place.is_near_by_another_method(rule, method, &near))
                })?;
            }
            keep(&mut matched.answers, &bucket.answers, |rule| {
                place.is_in(rule.rule.target(), method)
            })?;
            keep(&mut matched.transforms, &bucket.transforms, |(_, rule)| {
                place.is_in(rule.target(), method)
            })?;
        }
        matched.transforms.sort_by_key(|(order, _)| *order);
        Ok(matched)
    }

    fn has_secrets(&self) -> bool {
        !(self.credentials.is_empty() && self.substitutions.is_empty() && self.signers.is_empty())
    }

    /// Why none of the host's rules with a secret would be used, as far as the place tells.
    fn why_none(&self) -> Option<NotUsed> {
        if self.has_secrets() {
            return None;
        }
        let targets = || self.buckets.iter().flat_map(|bucket| bucket.targets_with_secrets());
        Some(if targets().any(|target| target.path_pattern().matches(self.path)) {
            NotUsed::NotThisMethod
        } else if targets().next().is_some() {
            NotUsed::NotThisPath
        } else {
            NotUsed::NoRule
        })
    }
}

/// Adds the rules that fit.
fn keep<'a, T>(
    kept: &mut Few<&'a T>,
    rules: &'a [T],
    fits: impl Fn(&T) -> Result<bool, Reason>,
) -> Result<(), Reason> {
    for rule in rules {
        if fits(rule)? {
            kept.push(rule);
        }
    }
    Ok(())
}

impl Generation {
    /// Applies the rules to the head of a request.
    ///
    /// In this order: the headers of this hop and those that claim another method or URL are
    /// removed; a rule may answer in the vendor's place; issuing endpoints are refused; the request
    /// is signed; slots are filled; placeholders at declared positions are replaced; companions of
    /// the rules that were used act.
    ///
    /// Afterwards the head may hold secrets, in the URI too, which
    /// [`Debug`](std::fmt::Debug) prints: what is logged of a request is taken before.
    #[must_use]
    pub fn apply(
        &self,
        request: &mut request::Parts,
        place: &Place<'_>,
        now: OffsetDateTime,
    ) -> Verdict {
        self.try_apply(request, place, now).unwrap_or_else(Verdict::Refuse)
    }

    fn try_apply(
        &self,
        request: &mut request::Parts,
        place: &Place<'_>,
        now: OffsetDateTime,
    ) -> Result<Verdict, Refusal> {
        let own;
        let host = if self.has(place.host) {
            place.host
        } else {
            own = self.at(&place.host.host, place.host.port);
            &own
        };
        let place = Place { host, ..*place };
        let matched = Matched::new(request, &place)?;
        let mut plan = Plan::default();
        plan.answer.begin(request, matched.transforms.iter().map(|(_, rule)| rule));
        hygiene::strip_hop_by_hop(&mut request.headers);
        if matched.buckets.is_empty() {
            plan.not_used = Some(NotUsed::NoRule);
            return Ok(Verdict::Forward(Box::new(plan)));
        }
        hygiene::strip_overrides(&mut request.headers);
        if let Some(answer) = first(&matched.answers) {
            return Ok(Verdict::Answer(Box::new(answer.rule.clone())));
        }
        let mut held = body::HeldBody::default();
        issuing::head(request, &matched.issuing, &mut held, &mut plan.answer)?;
        issuing::form(request, &matched.by_method, &mut held)?;
        if place.host.is_address {
            plan.not_used = Some(NotUsed::Address);
        } else {
            plan.not_used = matched.why_none();
            self.fill(request, &matched, now, &mut held, &mut plan)?;
            if plan.used.is_empty() {
                plan.not_used.get_or_insert(NotUsed::NoPlaceholder);
            }
        }
        plan.body = held.plan(request)?;
        Ok(Verdict::Forward(Box::new(plan)))
    }

    /// Puts secrets into the head, and notes which are for the body.
    fn fill(
        &self,
        request: &mut request::Parts,
        matched: &Matched<'_>,
        now: OffsetDateTime,
        held: &mut body::HeldBody,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        let signing = sign::head(request, matched, self, now, held, plan)?;
        let signed = signing.map_or(&[][..], |signing| signing.rule.signer().claims());
        let (known, mode) = (self.known(), self.mode());
        let around = Surroundings { known, mode, matched, signed };
        let filled = group::apply(request, &around, plan)?;
        substitute::head(request, matched, known, &filled, plan)?;
        held.substitute(request, &matched.substitutions, known)
    }
}
