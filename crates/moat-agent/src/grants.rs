//! Which grant an agent runs on, where several vendors' would do.

use moat_provider_core::{
    CredentialInfo, CredentialKey, Error, ErrorKind, ProviderName, Result, RunContext,
};

/// The grants that an agent can run on.
#[derive(Clone, Copy, Debug)]
pub struct Backends<'a> {
    agent: &'a str,
    providers: &'a [&'a ProviderName],
    wanted: Option<&'a ProviderName>,
}

impl<'a> Backends<'a> {
    /// States which providers' grants an agent, with the name that people know, can run on.
    #[must_use]
    pub const fn new(agent: &'a str, providers: &'a [&'a ProviderName]) -> Self {
        Self { agent, providers, wanted: None }
    }

    /// Sets the provider that the person chose.
    #[must_use]
    pub const fn wanted(mut self, provider: Option<&'a ProviderName>) -> Self {
        self.wanted = provider;
        self
    }

    /// Chooses the grants of a run: those that were named, and the agent's own, if it is not among
    /// them.
    ///
    /// Of one provider the grant without a qualifier goes first. Between two providers the person
    /// decides, never an order: which account pays is not to be guessed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`] with the commands that grant, [`ErrorKind::Conflict`] when
    /// several providers would do and none was chosen.
    pub fn select(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        let mut chosen = Vec::new();
        let own = self.providers_among(named);
        if own.is_empty() {
            let there = self.providers_among(stored);
            let provider = match there[..] {
                [] => return Err(self.missing()),
                [provider] => provider,
                [..] => return Err(self.ambiguous(&there)),
            };
            let of_provider = || stored.iter().filter(|key| key.provider() == provider);
            let plain = of_provider().find(|key| key.qualifier().is_none());
            chosen.extend(plain.or(of_provider().next()).cloned());
        } else if own.len() > 1 {
            return Err(self.ambiguous(&own));
        }
        for key in named {
            if !chosen.contains(key) {
                chosen.push(key.clone());
            }
        }
        Ok(chosen)
    }

    /// Returns the grant that the agent runs on.
    #[must_use]
    pub fn of_run<'r>(&self, run: &'r RunContext) -> Option<&'r CredentialInfo> {
        run.grants().iter().find(|info| self.serves(info.key().provider()))
    }

    fn serves(&self, provider: &ProviderName) -> bool {
        match self.wanted {
            Some(wanted) => wanted == provider,
            None => self.providers.contains(&provider),
        }
    }

    fn providers_among(&self, keys: &[CredentialKey]) -> Vec<&'a ProviderName> {
        let there = |name: &&&ProviderName| {
            self.serves(name) && keys.iter().any(|key| key.provider() == **name)
        };
        self.providers.iter().filter(there).copied().collect()
    }

    fn names(&self) -> impl Iterator<Item = &'a ProviderName> {
        self.providers.iter().copied().filter(|name| self.serves(name))
    }

    fn missing(&self) -> Error {
        let commands: Vec<_> = self.names().map(|name| format!("moat grant {name}")).collect();
        Error::new(
            ErrorKind::CredentialNotFound,
            format!("{} has no credential to run with", self.agent),
        )
        .with_hint(commands.join(", or "))
    }

    fn ambiguous(&self, among: &[&ProviderName]) -> Error {
        let names: Vec<_> = among.iter().map(ToString::to_string).collect();
        Error::new(
            ErrorKind::Conflict,
            format!("{} could run on several grants: {}", self.agent, names.join(", ")),
        )
        .with_hint("say which: add --backend and its name")
    }
}
