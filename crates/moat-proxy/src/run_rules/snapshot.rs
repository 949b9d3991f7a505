//! A generation as it is at one moment, with what is known of the hosts that were asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use moat_provider_core::{CredentialKey, Secret, Target};
use quick_cache::sync::Cache;

use crate::engine::{Generation, HostRules};
use crate::scrub::{Scrubber, public_prefix_len};
use crate::{Authority, Reason, Refusal};

/// How many hosts are remembered; the others are looked up anew when they are asked for.
const HOSTS: usize = 256;

/// How many earlier generations with other secrets are remembered. A token that was renewed is good
/// for some minutes more, and a generation lasts longer.
const FORMER: usize = 2;

/// A generation, and what follows from it for each host.
///
/// What is remembered of a host goes when the generation is replaced, so it cannot outlive it.
pub(super) struct Snapshot {
    generation: Generation,
    /// Earlier ones with other secrets, the latest last: their hosts may show those still.
    former: Vec<Generation>,
    hosts: Cache<Authority, Arc<HostFacts>>,
}

/// What a generation says about one host.
pub(super) struct HostFacts {
    /// Whether any rule acts on requests to it.
    pub(super) covered: bool,
    /// Whose secrets may be sent to it.
    pub(super) grants: Vec<CredentialKey>,
    /// Where a strict run may go there.
    pub(super) targets: Vec<Target>,
    /// The rules that act there.
    pub(super) rules: HostRules,
    /// What looks for the secrets that may be sent to it, if there are any.
    pub(super) scrubber: Option<Scrubber>,
}

impl Snapshot {
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, former: Vec::new(), hosts: Cache::new(HOSTS) }
    }

    /// Follows another one, whose secrets are looked for in answers as well.
    pub(super) fn following(mut self, previous: &Self) -> Self {
        self.former.clone_from(&previous.former);
        if !self.generation.has_stated_secrets_of(&previous.generation) {
            self.former.push(previous.generation.clone());
            self.former.drain(..self.former.len().saturating_sub(FORMER));
        }
        self
    }

    pub(super) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Returns what is known of a host.
    ///
    /// # Errors
    ///
    /// [`Reason::UnfitSecret`] when nothing can look for its secrets: then nothing is sent.
    pub(super) fn facts(&self, authority: &Authority) -> Result<Arc<HostFacts>, Refusal> {
        if let Some(known) = self.hosts.get(authority) {
            return Ok(known);
        }
        let facts = Arc::new(self.look_up(authority)?);
        self.hosts.insert(authority.clone(), Arc::clone(&facts));
        Ok(facts)
    }

    fn look_up(&self, authority: &Authority) -> Result<HostFacts, Refusal> {
        let (host, port) = (authority.host().as_text(), authority.port());
        let mut builder = Scrubber::builder();
        let mut grants = BTreeSet::new();
        let mut known: Vec<&Secret> = Vec::new();
        let former = self.former.iter().rev().flat_map(|former| former.scrub_set(&host, port));
        let current = self.generation.scrub_set(&host, port);
        grants.extend(current.iter().map(|(name, ..)| name.grant().clone()));
        for (name, secret, placeholders) in current.into_iter().chain(former) {
            if known.iter().any(|known| known.same_as(secret)) {
                continue;
            }
            known.push(secret);
            let public = placeholders.iter().map(|own| public_prefix_len(own.as_str(), secret));
            builder = builder.secret(name.clone(), secret, public.max().unwrap_or(0));
        }
        let scrubber = builder.build().map_err(|_| Reason::UnfitSecret)?;
        Ok(HostFacts {
            grants: grants.into_iter().collect(),
            rules: self.generation.at(&host, port),
            covered: self.generation.covers(&host, port),
            targets: self.generation.targets_at(&host, port).into_iter().cloned().collect(),
            scrubber: Some(scrubber).filter(|scrubber| !scrubber.is_empty()),
        })
    }
}
