//! What is checked, and what was found.

use std::error::Error;
use std::fmt;

/// How many violations of one rule are listed: they often have one cause.
const SHOWN: usize = 8;

/// A rule that providers follow.
///
/// The order is that in which violations are best looked at.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The expectation is complete: nothing is passed over because a sample, a source of a grant or
    /// a vendor is missing.
    Expectation,
    /// No method panics, whatever it is handed.
    Panics,
    /// Name and aliases can be registered together.
    Names,
    /// The provider has exactly the capabilities that were declared, under one name.
    Capabilities,
    /// Odd text behind the colon of a grant is refused as invalid input.
    Qualifiers,
    /// Options are unique, lower-case words joined by hyphens, with one line of help.
    GrantOptions,
    /// Implied dependencies are named once each.
    Dependencies,
    /// The description is one line of at most 80 characters without a full stop.
    Description,
    /// A grant with everything in place succeeds, in process and over a connection, and uses what
    /// was scripted.
    Grant,
    /// A granted credential has the key that was asked for.
    GrantedKey,
    /// A granted credential holds the token that the source gave.
    GrantedToken,
    /// Empty output of a source never becomes a token.
    EmptyToken,
    /// What the vendor refuses, redirects or cannot do is an error.
    Refusals,
    /// An error about which the person can do something says what.
    Hints,
    /// An error's kind fits what happened, and is transient when a later try may succeed.
    ErrorKinds,
    /// Every request goes to an absolute https URL without user information.
    Https,
    /// No secret is in the metadata, scopes or other printable parts of a credential, or in what a
    /// hook keeps.
    SecretInInfo,
    /// No secret is in `Debug`, `Display`, an error or its chain, a hint, a prompt, or a request's
    /// header that is not marked as sensitive.
    SecretInText,
    /// No secret is in the arguments or variables of a command.
    SecretInCommands,
    /// No secret is in the URL of a request.
    SecretInUrls,
    /// No secret is in a rule, an answer made by the proxy, or the declaration of issuing
    /// endpoints.
    SecretInRules,
    /// No secret is in a variable, a file, a mount or a command of the container, host files
    /// included.
    SecretInContainer,
    /// No stored secret is in the answer of an endpoint.
    SecretInEndpoints,
    /// A sample credential yields rules, variables and files without an error.
    Configuration,
    /// The same arguments give the same rules, variables, files and declarations.
    Purity,
    /// A renewed credential keeps its placeholders.
    Renewal,
    /// A target is a public name, exact or below a domain, that reads back as it was written.
    Targets,
    /// A rule refers to stored or minted secrets of its own credential.
    SecretRefs,
    /// The rules of a provider's credentials do not exclude each other, and neither do their
    /// variables and files.
    Conflicts,
    /// Placeholders belong to the run, differ between runs, and stand behind every rule that fills
    /// by placeholder only; what looks like one in the container is one that a rule or an endpoint
    /// knows.
    Placeholders,
    /// Placeholders have the shape that was declared.
    PlaceholderShapes,
    /// Variables are set once each, and none of those that are the host's.
    Environment,
    /// Files and mounts stay below the home directory, are written by their owner alone, and expose
    /// no wide part of the host.
    Paths,
    /// Upgrading a record twice is the same as once, and keeps its key.
    Upgrade,
    /// A refresh succeeds where it is said to be possible, and is refused with its own kind
    /// elsewhere.
    RefreshSupport,
    /// A refresh keeps the key and the time of creation.
    RefreshIdentity,
    /// Commands of a refresh inherit no variable that could hold a token.
    RefreshInputs,
    /// The interval of refreshes is from one minute to 30 days.
    RefreshInterval,
    /// Revocation is described, and what cannot be revoked at the vendor is refused with its own
    /// kind and a hint.
    Revocation,
    /// A mint yields exactly the secrets that were declared, under names of their own.
    Minting,
    /// Endpoints want their own method and token, forbid caching, and answer 5xx when there are no
    /// secrets.
    Endpoints,
    /// Endpoints that issue credentials are declared, or their absence is, with a reason, as
    /// expected.
    IssuingEndpoints,
    /// A diagnosis is made with and without ports, asks no vendor, and consists of single lines.
    Diagnosis,
    /// An agent chooses among the grants that there are, prepares a container, and starts with a
    /// command.
    Agent,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: &[Self] = &[
        Self::Expectation,
        Self::Panics,
        Self::Names,
        Self::Capabilities,
        Self::Qualifiers,
        Self::GrantOptions,
        Self::Dependencies,
        Self::Description,
        Self::Grant,
        Self::GrantedKey,
        Self::GrantedToken,
        Self::EmptyToken,
        Self::Refusals,
        Self::Hints,
        Self::ErrorKinds,
        Self::Https,
        Self::SecretInInfo,
        Self::SecretInText,
        Self::SecretInCommands,
        Self::SecretInUrls,
        Self::SecretInRules,
        Self::SecretInContainer,
        Self::SecretInEndpoints,
        Self::Configuration,
        Self::Purity,
        Self::Renewal,
        Self::Targets,
        Self::SecretRefs,
        Self::Conflicts,
        Self::Placeholders,
        Self::PlaceholderShapes,
        Self::Environment,
        Self::Paths,
        Self::Upgrade,
        Self::RefreshSupport,
        Self::RefreshIdentity,
        Self::RefreshInputs,
        Self::RefreshInterval,
        Self::Revocation,
        Self::Minting,
        Self::Endpoints,
        Self::IssuingEndpoints,
        Self::Diagnosis,
        Self::Agent,
    ];

    /// Returns the rule's name: lower-case words joined by hyphens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Panics => "panics",
            Self::Names => "names",
            Self::Capabilities => "capabilities",
            Self::Qualifiers => "qualifiers",
            Self::GrantOptions => "grant-options",
            Self::Dependencies => "dependencies",
            Self::Description => "description",
            Self::Grant => "grant",
            Self::GrantedKey => "granted-key",
            Self::GrantedToken => "granted-token",
            Self::EmptyToken => "empty-token",
            Self::Refusals => "refusals",
            Self::Hints => "hints",
            Self::ErrorKinds => "error-kinds",
            Self::Https => "https",
            Self::SecretInInfo => "secret-in-info",
            Self::SecretInText => "secret-in-text",
            Self::SecretInCommands => "secret-in-commands",
            Self::SecretInUrls => "secret-in-urls",
            Self::SecretInRules => "secret-in-rules",
            Self::SecretInContainer => "secret-in-container",
            Self::SecretInEndpoints => "secret-in-endpoints",
            Self::Configuration => "configuration",
            Self::Purity => "purity",
            Self::Renewal => "renewal",
            Self::Targets => "targets",
            Self::SecretRefs => "secret-refs",
            Self::Conflicts => "conflicts",
            Self::Placeholders => "placeholders",
            Self::PlaceholderShapes => "placeholder-shapes",
            Self::Environment => "environment",
            Self::Paths => "paths",
            Self::Upgrade => "upgrade",
            Self::RefreshSupport => "refresh-support",
            Self::RefreshIdentity => "refresh-identity",
            Self::RefreshInputs => "refresh-inputs",
            Self::RefreshInterval => "refresh-interval",
            Self::Revocation => "revocation",
            Self::Minting => "minting",
            Self::Endpoints => "endpoints",
            Self::IssuingEndpoints => "issuing-endpoints",
            Self::Diagnosis => "diagnosis",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule that a provider does not follow, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    rule: Rule,
    detail: String,
}

impl Violation {
    pub(super) const fn new(rule: Rule, detail: String) -> Self {
        Self { rule, detail }
    }

    /// Returns the rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns what was found: a sentence without a full stop. It shows no secret of the provider's.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}

/// Everything that a provider does not follow: at least one violation, each once, by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Sorts what was found; `None` when nothing was.
    pub(super) fn of(mut found: Vec<Violation>) -> Option<Self> {
        found.sort();
        found.dedup();
        (!found.is_empty()).then_some(Self(found))
    }

    /// Iterates over the violations.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }
}

/// Lists the violations, one a line; of one rule at most eight, and how many more there are.
impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = "";
        for group in self.0.chunk_by(|one, next| one.rule == next.rule) {
            let (shown, rest) = group.split_at(group.len().min(SHOWN));
            for violation in shown {
                write!(f, "{end}{violation}")?;
                end = "\n";
            }
            if !rest.is_empty() {
                write!(f, "{end}{}: and {} more", group[0].rule, rest.len())?;
            }
        }
        Ok(())
    }
}

impl Error for Violations {}
