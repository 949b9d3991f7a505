//! A service, as the person describes it and as a credential's metadata keeps it.

use moat_provider_core::{CredentialInfo, CredentialKey, Error, Fill, Result};

use crate::options::{ENV, HOST, ONLY_PLACEHOLDER, PATH, PREFIX};
use crate::place::Place;
use crate::text::{members, word};
use crate::variable;
use crate::way::Way;

/// What placeholders begin with unless the person says otherwise.
const DEFAULT_PREFIX: &str = "moat_";
/// The longest prefix, in bytes. It is public, so it should not hold much of the secret.
const LONGEST_PREFIX: usize = 24;
/// What stands in the metadata for an option without a value.
const YES: &str = "yes";

/// A service: where its secret goes, how, and what the container gets in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    places: Vec<Place>,
    way: Way,
    prefix: String,
    variables: Vec<String>,
    fill: Fill,
}

impl Service {
    /// Reads options, or the metadata that was made of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput), with what to write
    /// instead.
    pub(crate) fn read<'v>(
        key: &CredentialKey,
        get: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Self> {
        let Some(hosts) = get(HOST) else {
            return Err(Error::invalid(format!("{key} needs a host that gets the secret"))
                .with_hint(format!("moat grant {key} --host api.example.com")));
        };
        let places = Place::list(hosts, get(PATH))?;
        let way = Way::read(&get)?;
        let prefix = get(PREFIX).unwrap_or(DEFAULT_PREFIX);
        check_prefix(prefix)?;
        let mut variables: Vec<String> = Vec::new();
        for name in members(get(ENV).unwrap_or_default()) {
            variable::check(name)?;
            if !variables.iter().any(|other| other == name) {
                variables.push(name.to_owned());
            }
        }
        let fill = match (get(ONLY_PLACEHOLDER), &way) {
            (None, Way::Bearer | Way::Header { .. } | Way::Basic { .. }) => {
                Fill::EmptyOrPlaceholder
            }
            _ => Fill::PlaceholderOnly,
        };
        let service = Self { places, way, prefix: prefix.to_owned(), variables, fill };
        if fill == Fill::PlaceholderOnly && service.variables.is_empty() {
            let why = match service.way {
                Way::Query { .. } => "a program writes the query itself, so it needs a placeholder",
                _ => "without a variable no program knows the placeholder",
            };
            return Err(
                Error::invalid(why).with_hint(format!("{} --{ENV} VARIABLE", service.command(key)))
            );
        }
        Ok(service)
    }

    /// Reads the metadata of a credential.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when it lacks
    /// something.
    pub(crate) fn recorded(info: &CredentialInfo) -> Result<Self> {
        let key = info.key();
        Self::read(key, |option| info.metadata(&entry(option))).map_err(|error| {
            Error::invalid(format!("the record of {key} does not say where its secret goes"))
                .with_hint(format!("moat grant {key} --host HOST"))
                .with_source(error)
        })
    }

    /// Returns what [`read`](Self::read) reads, in normal form; `None` for an option without a
    /// value.
    fn options(&self) -> Vec<(&'static str, Option<String>)> {
        let places: Vec<_> = self.places.iter().map(ToString::to_string).collect();
        let mut options = vec![(HOST, Some(places.join(","))), self.way.option()];
        if !self.variables.is_empty() {
            options.push((ENV, Some(self.variables.join(","))));
        }
        if self.prefix != DEFAULT_PREFIX {
            options.push((PREFIX, Some(self.prefix.clone())));
        }
        if self.fill == Fill::PlaceholderOnly && self.way.header().is_some() {
            options.push((ONLY_PLACEHOLDER, None));
        }
        options
    }

    /// Returns the entries of the metadata.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (String, String)> {
        let options = self.options().into_iter();
        options.map(|(option, value)| (entry(option), value.unwrap_or_else(|| YES.to_owned())))
    }

    /// Whether some part of this, which is printable, holds a text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.metadata().any(|(_, value)| value.contains(text))
    }

    /// Returns the command that grants this, for a POSIX shell.
    pub(crate) fn command(&self, key: &CredentialKey) -> String {
        let mut command = format!("moat grant {key}");
        for (option, value) in self.options() {
            command.push_str(&format!(" --{option}"));
            if let Some(value) = value {
                // What begins with a hyphen would be taken for the next option.
                command.push(if value.starts_with('-') { '=' } else { ' ' });
                command.push_str(&word(&value));
            }
        }
        command
    }

    /// Returns where the secret goes.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Returns how the secret is sent.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Returns what the placeholder begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the variables of the container.
    pub(crate) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Returns which requests are filled, as the person said.
    pub(crate) fn fill(&self) -> Fill {
        self.fill
    }

    /// Names the places: `api.example.com/v1 and *.example.org`.
    pub(crate) fn where_to(&self) -> String {
        let places: Vec<_> = self.places.iter().map(ToString::to_string).collect();
        places.join(" and ")
    }
}

/// Returns the entry of the metadata that an option becomes.
fn entry(option: &str) -> String {
    option.replace('-', "_")
}

fn check_prefix(prefix: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=LONGEST_PREFIX).contains(&prefix.len()) && prefix.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid(format!("--{PREFIX} takes 1 to {LONGEST_PREFIX} letters, digits and . _ -"))
        .with_hint(format!(
            "write what every secret of the service begins with, as in --{PREFIX} sk-, and no more"
        )))
}
