//! Places: the hosts and paths that get a secret.

use std::fmt;
use std::net::IpAddr;

use moat_provider_core::{Error, HostPattern, PathPattern, Result, Target};

use crate::text::{members, shown, word};

/// Names below country codes under which anybody may register: `co.uk`.
const REGISTRIES: [&str; 10] = ["ac", "co", "com", "edu", "go", "gob", "gov", "ne", "net", "org"];

const EXAMPLES: &str =
    "write a host, such as api.example.com, api.example.com:8443 or '*.example.com'";

/// A host pattern, and a path with everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    host: HostPattern,
    /// Canonical, without a slash at its end; `None` is every path.
    path: Option<String>,
}

impl Place {
    /// Reads a list of hosts or URLs. Those without a path of their own get each of `paths`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput), with what to write
    /// instead.
    pub(crate) fn list(hosts: &str, paths: Option<&str>) -> Result<Vec<Self>> {
        let paths =
            members(paths.unwrap_or_default()).map(parse_path).collect::<Result<Vec<_>>>()?;
        let mut places: Vec<Self> = Vec::new();
        for member in members(hosts) {
            let place = Self::parse(member)?;
            let own = if place.path.is_some() || paths.is_empty() {
                vec![place]
            } else {
                let at = |path: &Option<String>| Self { path: path.clone(), ..place.clone() };
                paths.iter().map(at).collect()
            };
            for place in own {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        if places.is_empty() {
            return Err(Error::invalid("--host names no host").with_hint(EXAMPLES));
        }
        Ok(places)
    }

    /// Reads `HOST`, `HOST:PORT`, either with a path behind it, or such a URL as a person pastes.
    ///
    /// What a URL may hold besides is not shown in the error: user information and a query are where
    /// secrets are.
    fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Error::invalid("a URL behind --host has a user or password in it")
                .with_hint("write the host alone, and --basic USER for a user with a password"));
        }
        if path.contains(['?', '#']) {
            return Err(Error::invalid("a URL behind --host has a query or fragment in it")
                .with_hint(
                    "write the URL up to the ?, and --query KEY for a secret in the query",
                ));
        }
        if scheme.eq_ignore_ascii_case("http") {
            return Err(Error::invalid(format!("{} is not https", shown(text))).with_hint(
                format!(
                    "a secret goes over https alone: write --host {} if the service speaks it",
                    word(&format!("https://{}", rest.escape_debug()))
                ),
            ));
        }
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(
                Error::invalid(format!("{} is no https URL", shown(text))).with_hint(EXAMPLES)
            );
        }
        let path = if path.is_empty() { None } else { parse_path(path)? };
        Ok(Self { host: parse_host(authority)?, path })
    }

    /// Returns the host pattern.
    pub(crate) fn host(&self) -> &HostPattern {
        &self.host
    }

    /// Returns the requests that are meant.
    ///
    /// # Errors
    ///
    /// None in practice: the path was read before.
    pub(crate) fn target(&self) -> Result<Target> {
        let target = Target::from(self.host.clone());
        match &self.path {
            Some(path) => target.under(path),
            None => Ok(target),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path.as_deref().unwrap_or_default())
    }
}

fn parse_host(text: &str) -> Result<HostPattern> {
    if text == "*" {
        return Err(Error::invalid("* is every host there is")
            .with_hint("name the domain, such as '*.example.com'"));
    }
    let pattern: HostPattern = text.parse().map_err(|error: Error| match error.hint() {
        Some(_) => error,
        None => error.with_hint(EXAMPLES),
    })?;
    let host = pattern.host();
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Error::invalid(format!("{host} is an address, and none gets a secret"))
            .with_hint("write the name that stands in the certificate of the service"));
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Err(Error::invalid(format!("{host} is another machine inside of a container"))
            .with_hint(format!(
                "write host.moat.internal:{} for a service on this machine",
                pattern.port()
            )));
    }
    if !host.contains('.') {
        return Err(Error::invalid(format!("{host} is not the full name of a host"))
            .with_hint(format!("write it with its domain, such as {host}.example.com")));
    }
    if let Some(domain) = host.strip_prefix("*.").filter(|domain| is_registry(domain)) {
        return Err(Error::invalid(format!("anybody may register a name below {domain}"))
            .with_hint(format!("name the domain, such as '*.example.{domain}'")));
    }
    Ok(pattern)
}

/// Whether a domain looks like one under which strangers register theirs. Not a list of all: the
/// person is told what a pattern means.
fn is_registry(domain: &str) -> bool {
    match domain.split_once('.') {
        Some((below, country)) => country.len() == 2 && REGISTRIES.contains(&below),
        None => true,
    }
}

fn parse_path(text: &str) -> Result<Option<String>> {
    PathPattern::under(text).map_err(|error| {
        error.with_hint("write what every path begins with, such as /v1, without % ? # ; and ..")
    })?;
    let path = text.strip_suffix('/').unwrap_or(text);
    Ok((!path.is_empty()).then(|| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hosts: &str, paths: Option<&str>) -> String {
        let places = Place::list(hosts, paths).unwrap();
        places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hosts_urls_and_paths() {
        for (hosts, paths, places) in [
            ("api.example.com", None, "api.example.com"),
            ("API.Example.com.", None, "api.example.com"),
            ("api.example.com:443", None, "api.example.com"),
            ("api.example.com:8443/v1/", None, "api.example.com:8443/v1"),
            ("https://api.example.com/v1", None, "api.example.com/v1"),
            ("HTTPS://api.example.com/", None, "api.example.com"),
            ("*.example.com, a.example.org", None, "*.example.com a.example.org"),
            ("a.example.com,a.example.com/", None, "a.example.com"),
            ("a.example.com", Some("/v1,/v2/"), "a.example.com/v1 a.example.com/v2"),
            ("a.example.com/x,b.example.com", Some("/v1"), "a.example.com/x b.example.com/v1"),
            ("a.example.com", Some("/"), "a.example.com"),
            ("a.example.com/@scope/*/x", None, "a.example.com/@scope/*/x"),
            ("host.moat.internal:3000", None, "host.moat.internal:3000"),
        ] {
            assert_eq!(read(hosts, paths), places, "{hosts} {paths:?}");
            assert_eq!(read(&places.replace(' ', ","), None), places, "{places} reads back");
        }
    }

    #[test]
    fn what_a_secret_may_be_in_is_not_repeated() {
        for url in [
            "https://me:hunter2@api.example.com/",
            "me:hunter2@api.example.com",
            "http://hunter2@api.example.com",
            "https://api.example.com/v1?key=hunter2",
            "http://api.example.com?hunter2",
            "api.example.com#hunter2",
        ] {
            let error = Place::list(url, None).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn what_is_no_place_of_ones_own_is_refused() {
        for host in [
            "",
            " , ",
            "*",
            "*.com",
            "*.uk",
            "*.co.uk",
            "*.com.au",
            "a.*.com",
            "192.0.2.1",
            "192.0.2.1:8443",
            "[2001:db8::1]:443",
            "2001:db8::1",
            "0x7f000001",
            "localhost",
            "localhost:3000",
            "x.localhost",
            "intranet",
            "http://api.example.com",
            "ftp://api.example.com",
            "wss://api.example.com",
            "https://",
            "https:///v1",
            "api.example.com:0",
            "api.example.com:x",
            "api.example.com/a/../b",
            "api.example.com/a%2fb",
            "api.example.com//a",
            "api.example.com\\a",
            "api example com",
            "b\u{fc}cher.example",
            "a\u{1b}[1m.example.com",
        ] {
            let error = Place::list(host, None).unwrap_err();
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{host}: {error:?}");
            let text = format!("{error}{}", error.hint().unwrap());
            assert!(!text.contains(char::is_control), "{host}");
        }
        assert!(Place::list("api.example.com", Some("v1")).is_err());
        assert!(Place::list("*.example.co.uk,*.example.de", None).is_ok());
    }
}
