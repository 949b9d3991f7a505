//! Rules: what a proxy does with requests, as plain data that refers to secrets by name.
//!
//! A provider states rules through [`ProxyConfigurer`]. [`ProxyRules`] records them, so that any
//! proxy can read them; none of them holds a secret (law L2) and none is without a host (law L3).

mod answer;
mod conflict;
mod credential;
mod issuing;
mod signer;
mod substitution;
mod template;

use std::fmt;
use std::sync::Arc;

pub use self::answer::{AnswerRewrite, CannedAnswer, Interest, LocalAnswer, ResponseTransformer};
pub use self::credential::{ClientCredential, Companion, CredentialRule, Fill, Slot, SlotGroup};
pub use self::issuing::{HeldField, IssuingEndpoint, IssuingEndpoints, IssuingHandling};
pub use self::signer::{
    BodySigner, BodySigning, RefusalBody, RequestSigner, SigningRule, WholeBodySigner,
};
pub use self::substitution::{Position, Substitution};
pub use self::template::HeaderTemplate;
use crate::{CredentialKey, Error, ProviderName, Result, SecretName, Target};

/// A reference to one secret of one grant.
///
/// The host resolves it for each request. One that names a secret which is neither stored nor
/// declared as minted is refused when the run is registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef {
    grant: CredentialKey,
    name: SecretName,
}

impl SecretRef {
    /// Refers to a secret by its name.
    #[must_use]
    pub fn new(grant: &CredentialKey, name: SecretName) -> Self {
        Self { grant: grant.clone(), name }
    }

    /// Refers to the main token.
    #[must_use]
    pub fn token(grant: &CredentialKey) -> Self {
        Self::new(grant, SecretName::TOKEN)
    }

    /// Returns the grant.
    #[must_use]
    pub fn grant(&self) -> &CredentialKey {
        &self.grant
    }

    /// Returns the secret's name.
    #[must_use]
    pub fn name(&self) -> &SecretName {
        &self.name
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.grant, self.name)
    }
}

/// Takes the rules of providers. Implemented by [`ProxyRules`], and by proxies that want each rule
/// as it comes.
pub trait ProxyConfigurer {
    /// Fills a header with a credential.
    fn credential(&mut self, rule: CredentialRule);

    /// Replaces a placeholder at a declared position.
    fn substitute(&mut self, substitution: Substitution);

    /// Signs requests.
    fn sign(&mut self, rule: SigningRule);

    /// Answers requests in the vendor's place.
    fn answer(&mut self, answer: LocalAnswer);

    /// Changes answers with code.
    fn transform(&mut self, rule: TransformRule);

    /// Lets a run in strict mode go somewhere without any secret.
    fn reach(&mut self, target: Target);
}

/// A [`ResponseTransformer`] and where it applies.
#[derive(Clone, Debug)]
pub struct TransformRule {
    owner: ProviderName,
    target: Target,
    transformer: Arc<dyn ResponseTransformer>,
}

impl TransformRule {
    /// Makes a rule in the name of a provider.
    #[must_use]
    pub fn new(
        owner: ProviderName,
        target: Target,
        transformer: Arc<dyn ResponseTransformer>,
    ) -> Self {
        Self { owner, target, transformer }
    }

    /// Returns the provider whose rule this is.
    #[must_use]
    pub fn owner(&self) -> &ProviderName {
        &self.owner
    }

    /// Returns whose requests' answers are changed.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the code.
    #[must_use]
    pub fn transformer(&self) -> &Arc<dyn ResponseTransformer> {
        &self.transformer
    }
}

/// The rules of a run, recorded in the order in which they were stated.
#[derive(Clone, Debug, Default)]
pub struct ProxyRules {
    credentials: Vec<CredentialRule>,
    substitutions: Vec<Substitution>,
    signers: Vec<SigningRule>,
    answers: Vec<LocalAnswer>,
    transforms: Vec<TransformRule>,
    reach: Vec<Target>,
}

impl ProxyRules {
    /// Returns the rules that fill headers.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRule] {
        &self.credentials
    }

    /// Returns the rules that replace placeholders.
    #[must_use]
    pub fn substitutions(&self) -> &[Substitution] {
        &self.substitutions
    }

    /// Returns the rules that sign.
    #[must_use]
    pub fn signers(&self) -> &[SigningRule] {
        &self.signers
    }

    /// Returns the rules that answer in the vendor's place.
    #[must_use]
    pub fn answers(&self) -> &[LocalAnswer] {
        &self.answers
    }

    /// Returns the rules that change answers with code.
    #[must_use]
    pub fn transforms(&self) -> &[TransformRule] {
        &self.transforms
    }

    /// Returns where a run in strict mode may go without any secret.
    #[must_use]
    pub fn reachable(&self) -> &[Target] {
        &self.reach
    }

    /// Iterates over every place that some rule names.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.credentials
            .iter()
            .map(CredentialRule::target)
            .chain(self.substitutions.iter().map(Substitution::target))
            .chain(self.signers.iter().map(SigningRule::target))
            .chain(self.answers.iter().map(LocalAnswer::target))
            .chain(self.transforms.iter().map(TransformRule::target))
            .chain(&self.reach)
    }

    /// Iterates over every secret that some rule refers to.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        self.credentials
            .iter()
            .map(|rule| rule.secret().clone())
            .chain(self.substitutions.iter().map(|rule| rule.secret().clone()))
            .chain(self.signers.iter().flat_map(SigningRule::secrets))
    }

    /// Adds the rules of another record behind these.
    pub fn extend(&mut self, other: Self) {
        self.credentials.extend(other.credentials);
        self.substitutions.extend(other.substitutions);
        self.signers.extend(other.signers);
        self.answers.extend(other.answers);
        self.transforms.extend(other.transforms);
        self.reach.extend(other.reach);
    }

    /// Checks that every secret that a rule refers to is there: stored, or declared as minted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with the first that is not.
    pub fn check_secrets(&self, is_there: impl Fn(&SecretRef) -> bool) -> Result<()> {
        match self.secrets().find(|secret| !is_there(secret)) {
            Some(secret) => Err(Error::invalid(format!(
                "a rule refers to the secret {secret}, which is neither stored nor minted"
            ))),
            None => Ok(()),
        }
    }

    /// Checks law L3: two rules may claim one slot of one request only when their placeholders tell
    /// them apart, and at most one of them may fill it when it is empty. A rule whose target lies
    /// within another's wins over it and is no conflict.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for the first pair that cannot be told
    /// apart, with both grants in the message.
    pub fn check_conflicts(&self) -> Result<()> {
        conflict::check(self)
    }
}

impl ProxyConfigurer for ProxyRules {
    fn credential(&mut self, rule: CredentialRule) {
        self.credentials.push(rule);
    }

    fn substitute(&mut self, substitution: Substitution) {
        self.substitutions.push(substitution);
    }

    fn sign(&mut self, rule: SigningRule) {
        self.signers.push(rule);
    }

    fn answer(&mut self, answer: LocalAnswer) {
        self.answers.push(answer);
    }

    fn transform(&mut self, rule: TransformRule) {
        self.transforms.push(rule);
    }

    fn reach(&mut self, target: Target) {
        self.reach.push(target);
    }
}
