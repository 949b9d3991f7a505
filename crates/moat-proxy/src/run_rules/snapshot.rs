//! A generation as it is at one moment, with what is known of the hosts that were asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use moat_provider_core::{CredentialKey, Target};
use quick_cache::sync::Cache;

use crate::engine::{Generation, HostRules};
use crate::scrub::{Scrubber, public_prefix_len};
use crate::{Authority, Reason, Refusal};

/// How many hosts are remembered; the others are looked up anew when they are asked for.
const HOSTS: usize = 256;

/// A generation, and what follows from it for each host.
///
/// What is remembered of a host goes when the generation is replaced, so it cannot outlive it.
pub(super) struct Snapshot {
    generation: Generation,
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
        Self { generation, hosts: Cache::new(HOSTS) }
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
        for (name, secret, placeholders) in self.generation.scrub_set(&host, port) {
            let public = placeholders.iter().map(|own| public_prefix_len(own.as_str(), secret));
            grants.insert(name.grant().clone());
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
