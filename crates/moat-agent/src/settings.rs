//! Settings: what of a file may enter a container, and which of several sources prevails.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The longest text that is taken out of a file of the person's, in bytes.
const MAX_TEXT: usize = 256;

/// What a value has to be in order to be taken over.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A short text of printable characters: a version, a date, a name.
    Text,
}

impl ValueKind {
    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean, Value::Bool(_)) => true,
            (Self::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Self::Text, Value::String(text)) => {
                text.len() <= MAX_TEXT && !text.contains(char::is_control)
            }
            _ => false,
        }
    }
}

/// Takes the members of an object that a list allows, if they are of the listed kinds.
///
/// Everything else stays outside, however harmless it looks: such files also hold logins.
#[must_use]
pub fn pick(from: &Map<String, Value>, allowed: &[(&str, ValueKind)]) -> Map<String, Value> {
    let taken = allowed.iter().filter_map(|(name, kind)| {
        let value = from.get(*name).filter(|value| kind.fits(value))?;
        Some(((*name).to_owned(), value.clone()))
    });
    taken.collect()
}

/// Settings of several sources, the later of which prevail. `S` names a source.
#[derive(Clone, Debug)]
pub struct Layers<S>(Vec<(S, Map<String, Value>)>);

impl<S> Default for Layers<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Copy> Layers<S> {
    /// Begins without any source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source, which prevails over those before.
    pub fn push(&mut self, source: S, settings: Map<String, Value>) {
        self.0.push((source, settings));
    }

    /// Returns the value that prevails among those that pass a test, and where it came from.
    pub fn last(&self, name: &str, test: impl Fn(&Value) -> bool) -> Option<(S, &Value)> {
        self.0.iter().rev().find_map(|(source, settings)| {
            settings.get(name).filter(|value| test(value)).map(|value| (*source, value))
        })
    }

    /// Unites the objects under a name, entry by entry, with where each entry came from.
    #[must_use]
    pub fn united(&self, name: &str) -> BTreeMap<&str, (S, &Value)> {
        let objects = self.0.iter().filter_map(|(source, settings)| {
            let entries = settings.get(name)?.as_object()?;
            Some(entries.iter().map(|(entry, value)| (entry.as_str(), (*source, value))))
        });
        objects.flatten().collect()
    }

    /// Iterates over the sources, the weakest first.
    pub fn iter(&self) -> impl Iterator<Item = (S, &Map<String, Value>)> {
        self.0.iter().map(|(source, settings)| (*source, settings))
    }
}
