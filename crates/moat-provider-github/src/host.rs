//! Which GitHub: github.com, a tenant of ghe.com, or a GitHub Enterprise Server.

use moat_provider_core::{CredentialKey, Error, HostPattern, Result, Target};

/// The domain below which GitHub keeps the tenants with data residency.
const TENANTS: &str = "ghe.com";
/// Names of github.com itself: what somebody may write who means plain `github`.
const DOT_COM: [&str; 2] = ["github.com", "githubusercontent.com"];

/// One GitHub: its names, and where its API, its git and its settings are.
///
/// Sources: REST docs, "Getting started with the REST API"; GitHub Enterprise Cloud docs, "Network
/// details for GHE.com"; GitHub Enterprise Server docs, "Enabling subdomain isolation".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    kind: InstanceKind,
    /// Host, with the port unless it is 443.
    authority: String,
}

/// The three ways in which GitHub is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceKind {
    /// github.com.
    DotCom,
    /// `*.ghe.com`: GitHub Enterprise Cloud with data residency.
    Tenant,
    /// GitHub Enterprise Server: one host for everything.
    Server,
}

impl Instance {
    /// Finds the instance that a credential is for.
    pub(crate) fn of(key: &CredentialKey) -> Result<Self> {
        match key.qualifier() {
            Some(qualifier) => Self::parse(qualifier),
            None => Ok(Self { kind: InstanceKind::DotCom, authority: DOT_COM[0].to_owned() }),
        }
    }

    /// Parses what stands behind the colon of a grant.
    pub(crate) fn parse(qualifier: &str) -> Result<Self> {
        let pattern: HostPattern = qualifier.parse().map_err(|_| {
            Error::invalid(format!("{qualifier:?} is not the name of a GitHub host"))
                .with_hint("write github for github.com, or github:ghe.example.com")
        })?;
        let canonical = pattern.to_string();
        let host = pattern.host();
        if pattern.is_wildcard() {
            return Err(Error::invalid(format!("{qualifier:?} stands for more than one host"))
                .with_hint("grant each GitHub host by its own name"));
        }
        if !host.contains('.') && !host.starts_with('[') {
            // `github:repository` means nothing, and must not pass for a host of that name.
            return Err(Error::invalid(format!("{qualifier:?} is not the full name of a host"))
                .with_hint("write github for github.com, or github:ghe.example.com"));
        }
        if !host.bytes().any(|byte| byte.is_ascii_alphabetic()) || host.starts_with('[') {
            return Err(Error::invalid(format!(
                "{qualifier:?} is an address, and no credential is ever sent to one"
            ))
            .with_hint("write the name that stands in the host's certificate"));
        }
        if DOT_COM.iter().any(|domain| is_at_or_below(&host, domain)) {
            return Err(Error::invalid(format!("{qualifier:?} belongs to github.com"))
                .with_hint("write github, with nothing behind it"));
        }
        if canonical != qualifier {
            return Err(Error::invalid(format!("{qualifier:?} is not how this host is written"))
                .with_hint(format!("write github:{canonical}")));
        }
        let kind = match host.strip_suffix(TENANTS) {
            Some("") => {
                return Err(Error::invalid(format!("{TENANTS} itself is no GitHub host"))
                    .with_hint(format!("write github:TENANT.{TENANTS}")));
            }
            Some(below) if below.ends_with('.') => {
                let tenant = below.trim_end_matches('.').rsplit('.').next();
                let name = format!("{}.{TENANTS}", tenant.unwrap_or_default());
                if name != canonical {
                    return Err(Error::invalid(format!(
                        "{qualifier:?} is not the name of a tenant of {TENANTS}"
                    ))
                    .with_hint(format!("write github:{name}")));
                }
                InstanceKind::Tenant
            }
            _ => InstanceKind::Server,
        };
        Ok(Self { kind, authority: canonical })
    }

    /// Returns the way in which it is run.
    pub(crate) fn kind(&self) -> InstanceKind {
        self.kind
    }

    /// Returns the name by which people and gh know it; git is there too.
    pub(crate) fn name(&self) -> &str {
        &self.authority
    }

    /// Returns the host of a service that has a name of its own: `gist` for `gist.github.com`.
    pub(crate) fn service(&self, label: &str) -> String {
        format!("{label}.{}", self.authority)
    }

    /// Returns the host that serves the REST API.
    pub(crate) fn api_host(&self) -> String {
        match self.kind {
            InstanceKind::DotCom | InstanceKind::Tenant => self.service("api"),
            InstanceKind::Server => self.authority.clone(),
        }
    }

    fn api_prefix(&self) -> &'static str {
        match self.kind {
            InstanceKind::DotCom | InstanceKind::Tenant => "",
            InstanceKind::Server => "/api/v3",
        }
    }

    /// Returns the URL of a REST endpoint.
    pub(crate) fn rest_url(&self, path: &str) -> String {
        format!("https://{}{}{path}", self.api_host(), self.api_prefix())
    }

    /// Returns the target of a REST path and all below it.
    pub(crate) fn rest_target(&self, path: &str) -> Result<Target> {
        Target::host(&self.api_host())?.under(&format!("{}{path}", self.api_prefix()))
    }

    /// Returns the target of GraphQL.
    pub(crate) fn graphql_target(&self) -> Result<Target> {
        let path = match self.kind {
            InstanceKind::DotCom | InstanceKind::Tenant => "/graphql",
            InstanceKind::Server => "/api/graphql",
        };
        Target::host(&self.api_host())?.exact(path)
    }

    /// Returns the URL of a page of the person's settings.
    pub(crate) fn settings_url(&self, page: &str) -> String {
        format!("https://{}/settings/{page}", self.authority)
    }

    /// Returns the variables in which gh looks for a token, in its order.
    ///
    /// Source: `gh help environment`, gh 2.96.
    pub(crate) fn token_variables(&self) -> [&'static str; 2] {
        match self.kind {
            InstanceKind::DotCom | InstanceKind::Tenant => ["GH_TOKEN", "GITHUB_TOKEN"],
            InstanceKind::Server => ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"],
        }
    }
}

fn is_at_or_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(qualifier: &str) -> String {
        let error = Instance::parse(qualifier).unwrap_err();
        error.hint().unwrap().to_owned()
    }

    #[test]
    fn a_qualifier_is_a_tenant_or_a_server() {
        let tenant = Instance::parse("octo.ghe.com").unwrap();
        assert_eq!(tenant.kind(), InstanceKind::Tenant);
        assert_eq!(tenant.rest_url("/user"), "https://api.octo.ghe.com/user");
        let server = Instance::parse("ghe.example.com:8443").unwrap();
        assert_eq!(server.kind(), InstanceKind::Server);
        assert_eq!(server.rest_url("/user"), "https://ghe.example.com:8443/api/v3/user");
        assert_eq!(Instance::parse("notghe.com").unwrap().kind(), InstanceKind::Server);
        assert_eq!(Instance::parse("notgithub.com").unwrap().kind(), InstanceKind::Server);
    }

    #[test]
    fn other_spellings_are_refused_with_the_right_one() {
        let plain = "write github, with nothing behind it";
        for name in [
            "github.com",
            "GitHub.com",
            "api.github.com",
            "github.com:443",
            "raw.githubusercontent.com",
        ] {
            assert_eq!(hint(name), plain, "{name}");
        }
        assert_eq!(hint("GHE.example.com"), "write github:ghe.example.com");
        assert_eq!(hint("ghe.example.com."), "write github:ghe.example.com");
        assert_eq!(hint("ghe.example.com:443"), "write github:ghe.example.com");
        assert_eq!(hint("api.octo.ghe.com"), "write github:octo.ghe.com");
        assert_eq!(hint("octo.ghe.com:8443"), "write github:octo.ghe.com");
        assert_eq!(hint("ghe.com"), "write github:TENANT.ghe.com");
        for address in ["192.0.2.1", "2001:db8::1", "::1", "192.0.2.1:8443"] {
            assert!(hint(address).contains("certificate"), "{address}");
        }
        for name in ["*.example.com", "", "a b", "ghe.example.com/x", "user@ghe", "repository"] {
            assert!(Instance::parse(name).is_err(), "{name}");
        }
    }
}
