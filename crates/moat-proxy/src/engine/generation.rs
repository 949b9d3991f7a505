//! One generation of a run's rules and secrets: a value that is swapped as a whole (law L13).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, request};
use moat_provider_core::{
    CredentialKey, HostPattern, IssuingEndpoints, Placeholder, PlaceholderKey, ProxyConfigurer,
    ProxyRules, Result, Secret, SecretName, SecretRef, Secrets, Substitution, Target,
};

use super::attempt::{self, Attempt};
use super::carried::Known;
use super::hold::HeldSecret;
use super::hygiene;
use super::index::is_address;
use super::table::{Bucket, Sendable, Table, header_slots};
use crate::Mode;

/// How many secrets a run may have been issued by answers; the oldest goes first. The container
/// decides how often it asks for one.
const MOST_HELD: usize = 256;

/// The rules and the secrets of a run at one time.
///
/// Immutable. A new one is made when a credential is renewed, and requests that began with the old
/// one finish with it. Cheap to clone. What it has rendered of the secrets goes when the last clone
/// does.
#[derive(Clone)]
pub struct Generation {
    rules: Arc<Table>,
    held: Arc<Table>,
    bindings: Vec<(SecretName, HeldSecret)>,
    bound_so_far: u64,
    known: Known,
    mode: Mode,
}

impl Generation {
    /// Makes a generation of the rules of all grants, their issuing endpoints, and the secrets,
    /// stored and minted.
    ///
    /// # Errors
    ///
    /// Those of [`ProxyRules::check_conflicts`] and [`ProxyRules::check_secrets`], and
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) for a secret that
    /// does not fit where a rule puts it.
    pub fn new(
        rules: &ProxyRules,
        issuing: &[(CredentialKey, IssuingEndpoints)],
        secrets: &BTreeMap<CredentialKey, Secrets>,
        key: PlaceholderKey,
        mode: Mode,
    ) -> Result<Self> {
        let resolve = |reference: &SecretRef| {
            let secret = secrets.get(reference.grant())?.get(reference.name())?;
            (!secret.is_empty()).then(|| secret.clone())
        };
        rules.check_secrets(|reference| resolve(reference).is_some())?;
        rules.check_conflicts()?;
        let placeholders = placeholders(rules);
        Ok(Self {
            known: Known::new(key, placeholders),
            rules: Arc::new(Table::new(rules, issuing, &resolve)?),
            held: Arc::default(),
            bindings: Vec::new(),
            bound_so_far: 0,
            mode,
        })
    }

    /// Adds placeholders of the run that no rule names, such as the tokens of endpoints and those
    /// that only stand in staged files: without this they are taken for another run's.
    #[must_use]
    pub fn knowing<'a>(mut self, placeholders: impl IntoIterator<Item = &'a Placeholder>) -> Self {
        self.known.add(placeholders.into_iter());
        self
    }

    /// Returns the next generation, with secrets that an answer issued.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) for a secret that
    /// does not fit where it is used again.
    pub fn with_bindings(&self, held: impl IntoIterator<Item = HeldSecret>) -> Result<Self> {
        let mut next = self.clone();
        for secret in held {
            next.bindings.retain(|(_, known)| known.placeholder != secret.placeholder);
            let name: SecretName = format!("held.{}", next.bound_so_far).parse()?;
            next.bindings.push((name, secret));
            next.bound_so_far += 1;
        }
        next.bindings.drain(..next.bindings.len().saturating_sub(MOST_HELD));
        let mut rules = ProxyRules::default();
        let mut secrets = BTreeMap::new();
        for (name, held) in &next.bindings {
            let reference = SecretRef::new(&held.grant, name.clone());
            for (target, position) in &held.uses {
                rules.substitute(Substitution::new(
                    target.clone(),
                    position.clone(),
                    held.placeholder.clone(),
                    reference.clone(),
                ));
            }
            secrets.insert(reference, held.secret.clone());
        }
        let resolve = |reference: &SecretRef| secrets.get(reference).cloned();
        next.held = Arc::new(Table::new(&rules, &[], &resolve)?);
        next.known = self.known.with_held(next.bindings.iter().map(|(_, held)| &held.placeholder));
        Ok(next)
    }

    /// Iterates over the secrets that answers issued: for the generation that replaces this one.
    pub fn bindings(&self) -> impl Iterator<Item = &HeldSecret> {
        self.bindings.iter().map(|(_, held)| held)
    }

    /// Returns the placeholder of a secret that was issued before.
    #[must_use]
    pub fn held_placeholder(&self, secret: &Secret) -> Option<&Placeholder> {
        let mut bindings = self.bindings.iter();
        bindings.find(|(_, held)| held.secret.same_as(secret)).map(|(_, held)| &held.placeholder)
    }

    /// Whether any rule acts on requests to a host: its traffic has to be intercepted.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.find(host, port, |bucket| bucket.acts().then_some(())).is_some()
    }

    /// Whether what happens at a host depends on the path or the method, so that a raw tunnel could
    /// not honour it.
    #[must_use]
    pub fn has_path_rules(&self, host: &str, port: u16) -> bool {
        self.find(host, port, |bucket| bucket.has_path_rules().then_some(())).is_some()
    }

    /// Whether another generation's rules send nothing but what these send as well.
    pub(crate) fn has_stated_secrets_of(&self, other: &Self) -> bool {
        let own = self.rules.secrets();
        let is_here =
            |sendable: &Sendable| own.iter().any(|it| it.secret.same_as(&sendable.secret));
        other.rules.secrets().iter().all(is_here)
    }

    /// Iterates over the hosts to which a secret may be sent.
    pub fn secret_hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.rules.secret_hosts().chain(self.held.secret_hosts())
    }

    /// Returns the secrets that may be sent to a host, with the placeholders that stand for each.
    #[must_use]
    pub fn scrub_set(&self, host: &str, port: u16) -> Vec<(&SecretRef, &Secret, &[Placeholder])> {
        let mut all = Vec::new();
        for table in [&self.rules, &self.held] {
            let mut places = BTreeSet::new();
            let _: Option<()> = table.find(host, port, |bucket| {
                places.extend(bucket.secrets.iter().copied());
                None
            });
            all.extend(places.into_iter().map(|at| {
                let sendable: &Sendable = &table.secrets()[at];
                (&sendable.reference, &sendable.secret, sendable.placeholders.as_slice())
            }));
        }
        all
    }

    /// Finds the rules that act on requests to a host. Of use for all requests to it that this
    /// generation judges; another one finds its own instead.
    #[must_use]
    pub fn at(&self, host: &str, port: u16) -> HostRules {
        let mut buckets = Vec::new();
        let _: Option<()> = self.find(host, port, |bucket| {
            if bucket.acts() {
                buckets.push(Arc::clone(bucket));
            }
            None
        });
        let tables = [&self.rules, &self.held].map(Arc::clone);
        HostRules { host: host.into(), port, is_address: is_address(host), buckets, tables }
    }

    /// Whether these are this generation's rules, and not those of one before or after it.
    pub(super) fn has(&self, rules: &HostRules) -> bool {
        let [stated, held] = &rules.tables;
        Arc::ptr_eq(stated, &self.rules) && Arc::ptr_eq(held, &self.held)
    }

    /// Iterates over every place that a rule names: where a strict run may go.
    pub fn granted_targets(&self) -> impl Iterator<Item = &Target> {
        self.rules.targets().iter().chain(self.held.targets())
    }

    /// Returns the places of a host that a rule names: where a strict run may go there.
    #[must_use]
    pub fn targets_at(&self, host: &str, port: u16) -> Vec<&Target> {
        let mut targets = Vec::new();
        let _: Option<()> = self.find(host, port, |bucket| {
            targets.extend(&bucket.targets);
            None
        });
        targets
    }

    /// Finds placeholders of this run in the headers, the path and the query of a request, wherever
    /// it goes: to record an attempt to send one to a place that it is not for.
    #[must_use]
    pub fn placeholders_in(&self, request: &request::Parts) -> Vec<Attempt> {
        attempt::find(request, &self.known)
    }

    /// Removes trailers that a server could take for credentials.
    pub fn clean_trailers(&self, host: &str, port: u16, trailers: &mut HeaderMap) {
        let rules = self.at(host, port);
        let slots = header_slots(rules.buckets.iter().flat_map(|bucket| &bucket.slots));
        hygiene::strip_trailers(trailers, slots);
    }

    /// Returns what happens to what no rule speaks of.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    fn find<'a, R>(
        &'a self,
        host: &str,
        port: u16,
        mut found: impl FnMut(&'a Arc<Bucket>) -> Option<R>,
    ) -> Option<R> {
        self.rules.find(host, port, &mut found).or_else(|| self.held.find(host, port, &mut found))
    }
}

/// The rules of a generation that act on requests to one host.
#[derive(Clone)]
pub struct HostRules {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// Whether the host is an IP address instead of a name.
    pub(super) is_address: bool,
    /// What is stated for each pattern that the host fits.
    pub(super) buckets: Vec<Arc<Bucket>>,
    /// Where they are from.
    tables: [Arc<Table>; 2],
}

impl HostRules {
    /// Whether no rule acts there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

impl fmt::Debug for HostRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRules")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn placeholders(rules: &ProxyRules) -> impl Iterator<Item = &Placeholder> {
    let credentials = rules.credentials().iter().flat_map(|rule| rule.placeholders());
    let substitutions = rules.substitutions().iter().map(Substitution::placeholder);
    let signers = rules.signers().iter().map(|rule| rule.placeholder());
    credentials.chain(substitutions).chain(signers)
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("targets", &self.rules.targets().len())
            .field("held", &self.bindings.len())
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
