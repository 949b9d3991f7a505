//! Where a rule applies: a host and port, a path, methods; and how two such places relate.

mod host;
mod path;
mod relation;

use std::fmt;

use http::Method;

pub use self::host::HostPattern;
pub use self::path::PathPattern;
pub use self::relation::Relation;
use crate::{Error, Result};

/// One place on the wire: a host pattern, a path pattern and a set of methods.
///
/// Always https. Several paths are several targets.
///
/// ```
/// use http::Method;
/// use moat_provider_core::Target;
///
/// let keys = Target::host("api.github.com")?.under("/user/keys")?.methods([Method::POST])?;
/// assert!(keys.matches("api.github.com", 443, &Method::POST, "/user/keys"));
/// assert!(!keys.matches("api.github.com", 443, &Method::GET, "/user/keys"));
/// # Ok::<(), moat_provider_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    host: HostPattern,
    path: PathPattern,
    methods: Methods,
}

impl Target {
    /// Parses a host pattern; the target is every path and method there.
    ///
    /// # Errors
    ///
    /// Those of [`HostPattern`]'s `FromStr`.
    pub fn host(pattern: &str) -> Result<Self> {
        pattern.parse().map(|host: HostPattern| Self::from(host))
    }

    /// Narrows the target to paths under a prefix; see [`PathPattern::under`].
    ///
    /// # Errors
    ///
    /// Those of [`PathPattern::under`].
    pub fn under(mut self, prefix: &str) -> Result<Self> {
        self.path = PathPattern::under(prefix)?;
        Ok(self)
    }

    /// Narrows the target to one path; see [`PathPattern::exact`].
    ///
    /// # Errors
    ///
    /// Those of [`PathPattern::exact`].
    pub fn exact(mut self, path: &str) -> Result<Self> {
        self.path = PathPattern::exact(path)?;
        Ok(self)
    }

    /// Narrows the target to some methods. `GET` does not include `HEAD`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when there is none.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Result<Self> {
        let mut names: Vec<String> = methods.into_iter().map(|m| m.as_str().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Err(Error::invalid("a target without a method matches nothing"));
        }
        self.methods = Methods(Some(names));
        Ok(self)
    }

    /// Returns the host pattern.
    #[must_use]
    pub fn host_pattern(&self) -> &HostPattern {
        &self.host
    }

    /// Returns the path pattern.
    #[must_use]
    pub fn path_pattern(&self) -> &PathPattern {
        &self.path
    }

    /// Returns the methods in alphabetical order, or `None` when every method matches.
    #[must_use]
    pub fn method_names(&self) -> Option<&[String]> {
        self.methods.0.as_deref()
    }

    /// Whether a request goes there.
    ///
    /// `host` may have any case, a trailing dot, and brackets around an IPv6 address. `path` is the
    /// canonical path without the query: the caller has resolved or refused dot segments, encoded
    /// slashes and whatever else allows two readings.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16, method: &Method, path: &str) -> bool {
        self.host.matches(host, port) && self.methods.contains(method) && self.path.matches(path)
    }

    /// How the requests that go here relate to those that go to `other`.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        match self.host.relation(&other.host) {
            Relation::Disjoint => Relation::Disjoint,
            host => {
                host.and(self.path.relation(&other.path)).and(self.methods.relation(&other.methods))
            }
        }
    }
}

impl From<HostPattern> for Target {
    fn from(host: HostPattern) -> Self {
        Self { host, path: PathPattern::any(), methods: Methods(None) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Methods(Some(names)) = &self.methods {
            write!(f, "{} ", names.join(","))?;
        }
        write!(f, "{}{}", self.host, self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// `None` is every method; a list is sorted and not empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Methods(Option<Vec<String>>);

impl Methods {
    fn contains(&self, method: &Method) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|name| name == method.as_str()))
    }

    fn relation(&self, other: &Self) -> Relation {
        match (&self.0, &other.0) {
            (None, None) => Relation::Same,
            (Some(_), None) => Relation::Narrower,
            (None, Some(_)) => Relation::Wider,
            (Some(these), Some(those)) => {
                let shared = these.iter().filter(|name| those.contains(name)).count();
                Relation::of_sets(shared > 0, shared == these.len(), shared == those.len())
            }
        }
    }
}
