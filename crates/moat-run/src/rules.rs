//! The rules of a run, made anew for each generation of its credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use moat_provider_core::{
    Clock, CredentialInfo, CredentialKey, EndpointRouter, PlaceholderKey, ProxyRules, Registry,
    Result, RunContext, SecretSource, Secrets,
};
use moat_proxy::engine::Generation;
use moat_proxy::{AddressPolicy, Keeper, Policy, RunRules};
use tokio_util::sync::CancellationToken;

use crate::RunError;

/// What stays the same from one generation of rules to the next.
#[derive(Debug)]
pub(crate) struct RuleBook {
    pub(crate) registry: Registry,
    pub(crate) context: Arc<RunContext>,
    pub(crate) placeholders: PlaceholderKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Policy,
    pub(crate) addresses: AddressPolicy,
    /// Rules that the agent adds to those of the grants.
    pub(crate) agent_rules: ProxyRules,
    /// Ends what is open with a grant's secret.
    pub(crate) revocations: BTreeMap<CredentialKey, CancellationToken>,
    pub(crate) sources: BTreeMap<CredentialKey, Arc<dyn SecretSource>>,
}

/// The credentials of a run at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    /// In the order in which the person named them.
    pub(crate) infos: Vec<CredentialInfo>,
    /// Stored and minted secrets together.
    pub(crate) secrets: BTreeMap<CredentialKey, Secrets>,
}

impl RuleBook {
    /// Returns what the providers of these credentials state, and the agent.
    pub(crate) fn stated(&self, credentials: &Credentials) -> Result<ProxyRules, RunError> {
        let mut rules = ProxyRules::default();
        for info in &credentials.infos {
            let provider = self.registry.require(info.key().provider().as_str())?;
            if let Some(grants) = provider.as_credential() {
                grants.configure_proxy(&mut rules, info, &self.context)?;
            }
        }
        rules.extend(self.agent_rules.clone());
        Ok(rules)
    }

    /// Makes the rules for these credentials.
    pub(crate) fn rules(
        &self,
        credentials: &Credentials,
        keeper: Arc<dyn Keeper>,
        previous: Option<&RunRules>,
    ) -> Result<RunRules, RunError> {
        let rules = self.stated(credentials)?;
        let (mut issuing, mut endpoints) = (Vec::new(), Vec::new());
        for info in &credentials.infos {
            let provider = self.registry.require(info.key().provider().as_str())?;
            let Some(grants) = provider.as_credential() else { continue };
            issuing.push((info.key().clone(), grants.issuing_endpoints(info)?));
            if let Some(serving) = provider.as_endpoint() {
                let mut router = EndpointRouter::default();
                serving.register_endpoints(&mut router, info, &self.context)?;
                endpoints.push((info.key().clone(), router));
            }
        }
        let (key, mode) = (self.placeholders.clone(), self.policy.mode());
        let generation = Generation::new(&rules, &issuing, &credentials.secrets, key, mode)?;
        let (context, clock) = (Arc::clone(&self.context), Arc::clone(&self.clock));
        let policy = self.policy.clone().with_issuing(&issuing);
        let mut builder = RunRules::builder(context, clock, policy, generation)
            .addresses(self.addresses.clone())
            .keeper(keeper);
        for (key, router) in endpoints {
            if let Some(source) = self.sources.get(&key) {
                builder = builder.endpoints(&key, router, Arc::clone(source));
            }
        }
        for (key, token) in &self.revocations {
            builder = builder.revocation(key.clone(), token.clone());
        }
        if let Some(previous) = previous {
            builder = builder.succeeding(previous);
        }
        Ok(builder.build()?)
    }
}
