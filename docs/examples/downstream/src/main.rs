//! A program that depends on the facade with one feature and registers a provider of its own.

use moat_providers::core::{
    BoxFuture, Credential, CredentialInfo, CredentialProvider, DescribableProvider, Error,
    GrantContext, GrantError, GrantRequest, IssuingEndpoints, Provider, ProviderName,
    ProviderSource, ProxyConfigurer, Registry, Result, RunContext, Target,
};

static IN_HOUSE: ProviderName = ProviderName::from_static("in-house");

/// A service of this program's own company.
#[derive(Debug)]
struct InHouse;

impl Provider for InHouse {
    fn name(&self) -> &ProviderName {
        &IN_HOUSE
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl CredentialProvider for InHouse {
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let token = cx.terminal().ask_secret("In-house token").await;
            let token = token.map_err(|error| error.in_grant_of(&IN_HOUSE))?;
            let now = cx.host().clock().now();
            Ok(Credential::builder(request.key().clone(), token, now).build())
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        _: &CredentialInfo,
        _: &RunContext,
    ) -> Result<()> {
        proxy.reach(Target::host("docs.example.com")?);
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("the service issues nothing over HTTP"))
    }
}

impl DescribableProvider for InHouse {
    fn description(&self) -> &str {
        "The in-house service"
    }

    fn source(&self) -> ProviderSource {
        ProviderSource::Custom
    }
}

fn registry() -> Result<Registry> {
    let mut builder = moat_providers::builtin()?;
    builder.register(InHouse)?;
    builder.register_alias("house", "in-house")?;
    Ok(builder.build())
}

fn main() -> Result<(), Error> {
    for provider in registry()?.iter() {
        match provider.as_describable() {
            Some(it) => println!("{:<10} {} ({})", provider.name(), it.description(), it.source()),
            None => println!("{}", provider.name()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_providers_are_there() -> Result<()> {
        let registry = registry()?;
        let names: Vec<_> = registry.names().map(ProviderName::as_str).collect();
        assert_eq!(names, ["github", "in-house"]);
        let key = registry.resolve(&"house".parse()?)?;
        assert_eq!(key.provider(), &IN_HOUSE);
        let key = registry.resolve(&"github:ghe.example.com".parse()?)?;
        assert_eq!(key.to_string(), "github:ghe.example.com");
        Ok(())
    }

    #[test]
    fn a_qualifier_that_means_nothing_is_refused() -> Result<()> {
        let registry = registry()?;
        assert!(registry.resolve(&"house:prod".parse()?).is_err());
        assert!(registry.resolve(&"github:repository".parse()?).is_err());
        Ok(())
    }
}
