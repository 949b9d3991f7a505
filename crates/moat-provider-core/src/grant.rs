//! What a person asks for with a grant.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{CredentialKey, Error, Result};

/// An option of a grant: a flag of `moat grant`, a field of somebody else's form.
///
/// Options are visible in shell histories and process lists: none takes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantOption {
    name: Cow<'static, str>,
    help: Cow<'static, str>,
    value: OptionValue,
    required: bool,
}

/// What an option takes.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Nothing: it is there or not.
    Switch,
    /// Text; the name of the value stands in help texts: `ARN`.
    Text(Cow<'static, str>),
    /// One of these words.
    Choice(Vec<Cow<'static, str>>),
}

impl GrantOption {
    /// Makes an option that is there or not. `name` is lower-case words joined by hyphens.
    #[must_use]
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, OptionValue::Switch)
    }

    /// Makes an option that takes text.
    #[must_use]
    pub const fn text(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::new(name, help, OptionValue::Text(Cow::Borrowed(value)))
    }

    /// Makes an option that takes one of several words.
    #[must_use]
    pub fn choice(
        name: &'static str,
        words: impl IntoIterator<Item = &'static str>,
        help: &'static str,
    ) -> Self {
        let words = words.into_iter().map(Cow::Borrowed).collect();
        Self::new(name, help, OptionValue::Choice(words))
    }

    const fn new(name: &'static str, help: &'static str, value: OptionValue) -> Self {
        Self { name: Cow::Borrowed(name), help: Cow::Borrowed(help), value, required: false }
    }

    /// Makes the option mandatory.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Returns the name, without dashes before it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns one line of help.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Returns what the option takes.
    #[must_use]
    pub fn value(&self) -> &OptionValue {
        &self.value
    }

    /// Whether a grant without the option is refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }

    fn check(&self, value: &str) -> Result<()> {
        match &self.value {
            OptionValue::Switch if !value.is_empty() => {
                Err(Error::invalid(format!("--{} takes no value", self.name)))
            }
            OptionValue::Text(_) if value.is_empty() => {
                Err(Error::invalid(format!("--{} needs a value", self.name)))
            }
            OptionValue::Choice(words) if !words.iter().any(|word| word == value) => {
                Err(Error::invalid(format!("--{} does not take {value:?}", self.name))
                    .with_hint(format!("one of: {}", words.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

/// One request for a credential: under which key, with which options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    key: CredentialKey,
    options: BTreeMap<String, String>,
}

impl GrantRequest {
    /// Asks for a credential without any option.
    #[must_use]
    pub fn new(key: CredentialKey) -> Self {
        Self { key, options: BTreeMap::new() }
    }

    /// Asks with options, which are checked against those that the provider declares. A switch has
    /// an empty value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that is unknown,
    /// given twice, missing, or that does not take the value.
    pub fn with_options<I, N, V>(
        key: CredentialKey,
        known: &[GrantOption],
        given: I,
    ) -> Result<Self>
    where
        I: IntoIterator<Item = (N, V)>,
        N: Into<String>,
        V: Into<String>,
    {
        let mut options = BTreeMap::new();
        for (name, value) in given {
            let (name, value) = (name.into(), value.into());
            match known.iter().find(|option| option.name == name) {
                Some(option) => option.check(&value)?,
                None => {
                    return Err(Error::invalid(format!(
                        "a grant of {} has no option --{name}",
                        key.provider()
                    )));
                }
            }
            if options.contains_key(&name) {
                return Err(Error::invalid(format!("--{name} is given twice")));
            }
            options.insert(name, value);
        }
        let missing = known.iter().find(|o| o.required && !options.contains_key(&*o.name));
        match missing {
            Some(option) => Err(Error::invalid(format!(
                "a grant of {} needs --{}: {}",
                key.provider(),
                option.name,
                option.help
            ))),
            None => Ok(Self { key, options }),
        }
    }

    /// Returns the identity of the credential to be made.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// Returns the value of an option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether a switch, or any other option, was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }
}
