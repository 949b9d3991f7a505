//! Registries: providers by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{
    AgentProvider, CredentialKey, EndpointProvider, Error, ErrorKind, GrantRef, Provider,
    ProviderName, Result,
};

/// Providers by name and alias.
///
/// A value, not a global: two registries live side by side, and a fresh one takes the place of the
/// specification's `Clear`. Cheap to clone.
///
/// ```
/// # use moat_provider_core::{Provider, ProviderName, Registry};
/// # #[derive(Debug)]
/// # struct Example(ProviderName);
/// # impl Provider for Example { fn name(&self) -> &ProviderName { &self.0 } }
/// # let example = Example(ProviderName::from_static("example"));
/// let mut builder = Registry::builder();
/// builder.register(example)?;
/// builder.register_alias("ex", "example")?;
/// let registry = builder.build();
/// assert_eq!(registry.get("ex").map(|provider| provider.name().as_str()), Some("example"));
/// # Ok::<(), moat_provider_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    aliases: BTreeMap<ProviderName, ProviderName>,
}

impl Inner {
    fn canonical(&self, name: &str) -> Option<&ProviderName> {
        let name: ProviderName = name.parse().ok()?;
        let name = self.aliases.get(&name).unwrap_or(&name);
        self.providers.get_key_value(name).map(|(canonical, _)| canonical)
    }

    fn check_free(&self, name: &ProviderName) -> Result<()> {
        let taken = self.providers.contains_key(name) || self.aliases.contains_key(name);
        if taken {
            let message = format!("the provider name {name} is taken");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(())
    }
}

impl Registry {
    /// Begins an empty registry.
    #[must_use]
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// Returns a provider by its name or an alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.providers.get(self.0.canonical(name)?)
    }

    /// Returns a provider by its name or an alias.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderNotFound`] with the names that there are.
    pub fn require(&self, name: &str) -> Result<&Arc<dyn Provider>> {
        self.get(name).ok_or_else(|| {
            let names: Vec<_> = self.names().map(ProviderName::as_str).collect();
            Error::new(ErrorKind::ProviderNotFound, format!("there is no provider {name:?}"))
                .with_hint(match names.as_slice() {
                    [] => "no provider is registered".to_owned(),
                    names => format!("the providers are: {}", names.join(", ")),
                })
        })
    }

    /// Returns an agent by its name or an alias.
    #[must_use]
    pub fn get_agent(&self, name: &str) -> Option<&dyn AgentProvider> {
        self.get(name)?.as_agent()
    }

    /// Returns an endpoint provider by its name or an alias.
    #[must_use]
    pub fn get_endpoint(&self, name: &str) -> Option<&dyn EndpointProvider> {
        self.get(name)?.as_endpoint()
    }

    /// Iterates over the agents in the order of their names.
    pub fn agents(&self) -> impl Iterator<Item = &dyn AgentProvider> {
        self.iter().filter_map(|provider| provider.as_agent())
    }

    /// Iterates over the canonical names in order.
    pub fn names(&self) -> impl Iterator<Item = &ProviderName> {
        self.0.providers.keys()
    }

    /// Iterates over alias and canonical name, in the order of the aliases.
    pub fn aliases(&self) -> impl Iterator<Item = (&ProviderName, &ProviderName)> {
        self.0.aliases.iter()
    }

    /// Iterates over the providers in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.0.providers.values()
    }

    /// Returns the canonical name for a name or an alias. An unknown name is returned as it is.
    #[must_use]
    pub fn resolve_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.canonical(name).map_or(name, ProviderName::as_str)
    }

    /// Turns what a person typed into the key of a credential: the only way from one to the other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderNotFound`]; [`ErrorKind::InvalidInput`] when the provider has no grant
    /// of its own or does not take the qualifier.
    pub fn resolve(&self, grant: &GrantRef) -> Result<CredentialKey> {
        let provider = self.require(grant.name())?;
        let name = provider.name();
        let credential = provider
            .as_credential()
            .ok_or_else(|| Error::invalid(format!("{name} has no grant of its own")))?;
        if let Some(qualifier) = grant.qualifier() {
            credential.check_qualifier(qualifier)?;
        }
        Ok(grant.qualify(name.clone()))
    }

    /// Returns a registry in which `provider` stands for the one of its name: an agent configured
    /// from flags.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderNotFound`] when there is none of that name.
    pub fn with(&self, provider: Arc<dyn Provider>) -> Result<Self> {
        let mut inner = (*self.0).clone();
        match inner.providers.get_mut(provider.name()) {
            Some(slot) => *slot = provider,
            None => {
                let message = format!("there is no provider {} to replace", provider.name());
                return Err(Error::new(ErrorKind::ProviderNotFound, message));
            }
        }
        Ok(Self(Arc::new(inner)))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Collects the providers of a [`Registry`].
#[derive(Default)]
pub struct RegistryBuilder(Inner);

impl RegistryBuilder {
    /// Adds a provider under its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when a provider or an alias has that name.
    pub fn register(&mut self, provider: impl Provider) -> Result<&mut Self> {
        self.register_arc(Arc::new(provider))
    }

    /// Adds a shared provider under its name.
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register).
    pub fn register_arc(&mut self, provider: Arc<dyn Provider>) -> Result<&mut Self> {
        self.0.check_free(provider.name())?;
        self.0.providers.insert(provider.name().clone(), provider);
        Ok(self)
    }

    /// Adds another name for a provider that is registered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the alias is taken, [`ErrorKind::ProviderNotFound`] when the
    /// canonical name is not registered, [`ErrorKind::InvalidInput`] when the alias is not a
    /// provider name.
    pub fn register_alias(&mut self, alias: &str, canonical: &str) -> Result<&mut Self> {
        let alias: ProviderName = alias.parse()?;
        self.0.check_free(&alias)?;
        let canonical: ProviderName = canonical.parse()?;
        if !self.0.providers.contains_key(&canonical) {
            return Err(Error::new(
                ErrorKind::ProviderNotFound,
                format!("the alias {alias} leads to {canonical}, which is not registered"),
            ));
        }
        self.0.aliases.insert(alias, canonical);
        Ok(self)
    }

    /// Finishes the registry.
    #[must_use]
    pub fn build(self) -> Registry {
        Registry(Arc::new(self.0))
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.providers.keys()).finish()
    }
}
