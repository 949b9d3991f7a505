//! Rules made ready for use: sorted by host, with their secrets resolved.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use moat_provider_core::{
    CredentialKey, CredentialRule, Error, HostPattern, IssuingEndpoint, IssuingEndpoints,
    LocalAnswer, PathPattern, Placeholder, Position, ProxyRules, Relation, Result, Secret,
    SecretRef, Secrets, SigningRule, Slot, Substitution, Target, TransformRule,
};

use super::index::HostIndex;
use super::plan::RuleLabel;
use super::secret_text;
use crate::path::NearPattern;

/// The rules of one generation, or those for the secrets that it holds.
#[derive(Default)]
pub(super) struct Table {
    index: HostIndex<Arc<Bucket>>,
    secrets: Vec<Sendable>,
    targets: Vec<Target>,
}

/// A secret, where it is used for a host.
pub(super) struct Sendable {
    pub(super) reference: SecretRef,
    pub(super) secret: Secret,
    pub(super) placeholders: Vec<Placeholder>,
}

/// Everything that is stated for one host pattern, each kind in the order in which it was stated.
#[derive(Clone, Default)]
pub(super) struct Bucket {
    pub(super) credentials: Vec<Arc<Filling>>,
    pub(super) substitutions: Vec<Arc<Substituting>>,
    pub(super) signers: Vec<Arc<Signing>>,
    pub(super) answers: Vec<Arc<Stated<LocalAnswer>>>,
    /// With their places in the order in which they were stated.
    pub(super) transforms: Vec<(usize, TransformRule)>,
    pub(super) issuing: Vec<Arc<Issuing>>,
    /// Every target here, for policy.
    pub(super) targets: Vec<Target>,
    /// The slots of all credential rules here, whatever their path.
    pub(super) slots: Vec<Slot>,
    /// Indexes into the table's secrets.
    pub(super) secrets: Vec<usize>,
    only_reach: OnlyReach,
}

/// Whether a bucket has nothing but `reach` statements.
#[derive(Clone)]
struct OnlyReach(bool);

impl Default for OnlyReach {
    fn default() -> Self {
        Self(true)
    }
}

/// A rule that is the way it was stated.
pub(super) struct Stated<R> {
    pub(super) rule: R,
    order: usize,
}

/// A rule that fills a header.
pub(super) struct Filling {
    pub(super) rule: CredentialRule,
    /// Rendered once, so that there is one copy per generation and not one per request.
    pub(super) value: HeaderValue,
    pub(super) slots: Vec<Slot>,
    pub(super) label: Arc<RuleLabel>,
    pub(super) order: usize,
}

/// A rule that replaces a placeholder.
pub(super) struct Substituting {
    pub(super) rule: Substitution,
    pub(super) secret: Secret,
    pub(super) label: Arc<RuleLabel>,
    order: usize,
}

/// A rule that signs.
pub(super) struct Signing {
    pub(super) rule: SigningRule,
    pub(super) secrets: Secrets,
    pub(super) label: Arc<RuleLabel>,
    order: usize,
}

/// An issuing endpoint of a grant.
pub(super) struct Issuing {
    pub(super) endpoint: IssuingEndpoint,
    pub(super) near: NearPattern,
    pub(super) grant: CredentialKey,
    pub(super) label: Arc<str>,
    order: usize,
}

impl Table {
    /// Makes rules ready.
    ///
    /// # Errors
    ///
    /// When a secret does not fit where a rule puts it.
    pub(super) fn new(
        rules: &ProxyRules,
        issuing: &[(CredentialKey, IssuingEndpoints)],
        resolve: &dyn Fn(&SecretRef) -> Option<Secret>,
    ) -> Result<Self> {
        let mut table = Self::default();
        let mut sendable = Sendables::default();
        for (order, rule) in rules.credentials().iter().enumerate() {
            let secret = sendable.add(rule.secret(), rule.placeholders(), resolve)?;
            let filling = Filling::new(rule, &secret.1, order)?;
            table.bucket(rule.target()).add_filling(filling, secret.0);
        }
        for (order, rule) in rules.substitutions().iter().enumerate() {
            let placeholder = std::slice::from_ref(rule.placeholder());
            let (at, secret) = sendable.add(rule.secret(), placeholder, resolve)?;
            let substituting = Arc::new(Substituting::new(rule, secret, order)?);
            let bucket = table.bucket(rule.target());
            bucket.substitutions.push(substituting);
            bucket.add_secret(at);
        }
        for (order, rule) in rules.signers().iter().enumerate() {
            let mut secrets = Vec::new();
            for reference in rule.secrets() {
                let (at, secret) = sendable.add(&reference, &[], resolve)?;
                table.bucket(rule.target()).add_secret(at);
                secrets.push((reference.name().clone(), secret));
            }
            let signing = Arc::new(Signing::new(rule, secrets.into_iter().collect(), order));
            table.bucket(rule.target()).signers.push(signing);
        }
        table.add_plain(rules);
        table.add_issuing(issuing);
        table.secrets = sendable.all;
        Ok(table)
    }

    /// What holds no secret.
    fn add_plain(&mut self, rules: &ProxyRules) {
        for (order, rule) in rules.answers().iter().enumerate() {
            let stated = Arc::new(Stated { rule: rule.clone(), order });
            self.bucket(rule.target()).answers.push(stated);
        }
        for (order, rule) in rules.transforms().iter().enumerate() {
            self.bucket(rule.target()).transforms.push((order, rule.clone()));
        }
        for target in rules.reachable() {
            self.targets.push(target.clone());
            Arc::make_mut(self.index.entry(target.host_pattern())).targets.push(target.clone());
        }
    }

    fn add_issuing(&mut self, issuing: &[(CredentialKey, IssuingEndpoints)]) {
        let all = issuing.iter().flat_map(|(grant, endpoints)| {
            endpoints.as_slice().iter().map(move |endpoint| (grant, endpoint))
        });
        for (order, (grant, endpoint)) in all.enumerate() {
            let bucket = Arc::make_mut(self.index.entry(endpoint.target().host_pattern()));
            bucket.only_reach = OnlyReach(false);
            bucket.issuing.push(Arc::new(Issuing {
                near: NearPattern::new(endpoint.target().path_pattern()),
                endpoint: endpoint.clone(),
                grant: grant.clone(),
                label: format!("{grant} {}", endpoint.target()).into(),
                order,
            }));
        }
    }

    /// Returns the bucket of a rule's target, and notes the target.
    fn bucket(&mut self, target: &Target) -> &mut Bucket {
        let bucket = Arc::make_mut(self.index.entry(target.host_pattern()));
        bucket.only_reach = OnlyReach(false);
        if !bucket.targets.contains(target) {
            self.targets.push(target.clone());
            bucket.targets.push(target.clone());
        }
        bucket
    }

    /// Calls back with what is stated for each pattern that a host fits.
    pub(super) fn find<'a, R>(
        &'a self,
        host: &str,
        port: u16,
        found: impl FnMut(&'a Arc<Bucket>) -> Option<R>,
    ) -> Option<R> {
        self.index.find(host, port, found)
    }

    /// Iterates over the patterns of hosts to which a secret may go.
    pub(super) fn secret_hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.index
            .iter()
            .filter(|(_, bucket)| !bucket.secrets.is_empty())
            .map(|(pattern, _)| pattern)
    }

    /// Returns the places that some rule names.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Returns the secrets that rules refer to.
    pub(super) fn secrets(&self) -> &[Sendable] {
        &self.secrets
    }
}

impl Bucket {
    /// Whether anything is done to requests here, or only policy speaks of the host.
    pub(super) fn acts(&self) -> bool {
        !self.only_reach.0
    }

    /// Whether something here depends on the path or the method.
    pub(super) fn has_path_rules(&self) -> bool {
        let issuing = self.issuing.iter().map(|issuing| issuing.endpoint.target());
        self.targets.iter().chain(issuing).any(|target| {
            *target.path_pattern() != PathPattern::any() || target.method_names().is_some()
        })
    }

    /// Iterates over the targets of the rules that have a secret.
    pub(super) fn targets_with_secrets(&self) -> impl Iterator<Item = &Target> {
        let credentials = self.credentials.iter().map(|rule| rule.rule.target());
        let substitutions = self.substitutions.iter().map(|rule| rule.rule.target());
        let signers = self.signers.iter().map(|rule| rule.rule.target());
        credentials.chain(substitutions).chain(signers)
    }

    fn add_filling(&mut self, filling: Filling, secret: usize) {
        for slot in &filling.slots {
            if !self.slots.contains(slot) {
                self.slots.push(slot.clone());
            }
        }
        self.credentials.push(Arc::new(filling));
        self.add_secret(secret);
    }

    fn add_secret(&mut self, at: usize) {
        if !self.secrets.contains(&at) {
            self.secrets.push(at);
        }
    }
}

impl Filling {
    fn new(rule: &CredentialRule, secret: &Secret, order: usize) -> Result<Self> {
        let value = rule.template().render(secret).map_err(|error| unfit(rule.secret(), error))?;
        let label = RuleLabel::new(rule.target(), rule.header().as_str(), [rule.secret().clone()]);
        Ok(Self { value, slots: rule.slots(), label: Arc::new(label), order, rule: rule.clone() })
    }
}

impl Substituting {
    fn new(rule: &Substitution, secret: Secret, order: usize) -> Result<Self> {
        match rule.position() {
            Position::Header(_) => {
                secret_text::header(None, &secret).map_err(|error| unfit(rule.secret(), error))?;
            }
            Position::Subprotocol { .. } if !secret_text::is_token(&secret) => {
                let error = Error::invalid("the secret cannot stand in a subprotocol's name");
                return Err(unfit(rule.secret(), error));
            }
            _ => {}
        }
        let slot = position_name(rule.position());
        let label = Arc::new(RuleLabel::new(rule.target(), &slot, [rule.secret().clone()]));
        Ok(Self { rule: rule.clone(), secret, label, order })
    }
}

impl Signing {
    fn new(rule: &SigningRule, secrets: Secrets, order: usize) -> Self {
        let label = Arc::new(RuleLabel::new(rule.target(), "signature", rule.secrets()));
        Self { rule: rule.clone(), secrets, label, order }
    }
}

fn unfit(secret: &SecretRef, error: Error) -> Error {
    Error::invalid(format!("the secret {secret} does not fit its rule")).with_source(error)
}

fn position_name(position: &Position) -> String {
    match position {
        Position::PathSegment { .. } => "path".to_owned(),
        Position::QueryKey(key) => format!("query {key}"),
        Position::Header(name) => name.to_string(),
        Position::Subprotocol { .. } => "sec-websocket-protocol".to_owned(),
        Position::FormField(field) => format!("form {field}"),
        Position::JsonField(pointer) => format!("json {pointer}"),
        _ => "position".to_owned(),
    }
}

/// Collects secrets, each once.
#[derive(Default)]
struct Sendables {
    all: Vec<Sendable>,
    places: HashMap<SecretRef, usize>,
}

impl Sendables {
    fn add(
        &mut self,
        reference: &SecretRef,
        placeholders: &[Placeholder],
        resolve: &dyn Fn(&SecretRef) -> Option<Secret>,
    ) -> Result<(usize, Secret)> {
        let at = match self.places.get(reference) {
            Some(at) => *at,
            None => {
                let secret = resolve(reference).ok_or_else(|| {
                    Error::invalid(format!("there is no secret {reference} for a rule"))
                })?;
                let reference = reference.clone();
                self.places.insert(reference.clone(), self.all.len());
                self.all.push(Sendable { reference, secret, placeholders: Vec::new() });
                self.all.len() - 1
            }
        };
        let entry = &mut self.all[at];
        for placeholder in placeholders {
            if !entry.placeholders.contains(placeholder) {
                entry.placeholders.push(placeholder.clone());
            }
        }
        Ok((at, entry.secret.clone()))
    }
}

/// What has a target, and a place in the order in which rules were stated.
pub(super) trait Ranked {
    fn rank(&self) -> (&Target, usize);
}

impl Ranked for Filling {
    fn rank(&self) -> (&Target, usize) {
        (self.rule.target(), self.order)
    }
}

impl Ranked for Substituting {
    fn rank(&self) -> (&Target, usize) {
        (self.rule.target(), self.order)
    }
}

impl Ranked for Signing {
    fn rank(&self) -> (&Target, usize) {
        (self.rule.target(), self.order)
    }
}

impl Ranked for Issuing {
    fn rank(&self) -> (&Target, usize) {
        (self.endpoint.target(), self.order)
    }
}

impl Ranked for Stated<LocalAnswer> {
    fn rank(&self) -> (&Target, usize) {
        (self.rule.target(), self.order)
    }
}

impl<T: Ranked> Ranked for Arc<T> {
    fn rank(&self) -> (&Target, usize) {
        (**self).rank()
    }
}

/// Returns the rule that goes before the others: one within which no other's target lies, and of
/// several such the one that was stated first.
///
/// There is no fixed order of a host's rules that would do: of three rules the third can be narrower
/// than the first while neither is ranked against the second.
pub(super) fn first<'a, T: Ranked>(rules: &[&'a T]) -> Option<&'a T> {
    if let [only] = rules {
        return Some(only);
    }
    let is_narrower =
        |one: &T, other: &T| one.rank().0.relation(other.rank().0) == Relation::Narrower;
    rules
        .iter()
        .copied()
        .filter(|rule| !rules.iter().any(|other| is_narrower(other, rule)))
        .min_by_key(|rule| rule.rank().1)
}

/// Header slots of a list of slots.
pub(super) fn header_slots<'a>(
    slots: impl Iterator<Item = &'a Slot> + Clone,
) -> impl Iterator<Item = &'a HeaderName> + Clone {
    slots.filter_map(|slot| match slot {
        Slot::Header(name) => Some(name),
        _ => None,
    })
}
