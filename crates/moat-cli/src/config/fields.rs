//! Typed access to TOML that remembers where everything stands, and which keys there are.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use moat_proxy::{Mode, Policy};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FILE;
use crate::error::{CliError, Result};

/// The keys of a table. Each that is asked for is known from then on; the others are errors.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    source: &'a str,
    /// The path of the table with a dot at its end; empty for the whole file.
    path: String,
    entries: Vec<(String, Range<usize>, Value<'a>)>,
    known: Vec<&'static str>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    source: &'a str,
    path: String,
    span: Range<usize>,
    value: DeValue<'a>,
}

impl<'a> Fields<'a> {
    /// Parses a file.
    pub(super) fn parse(source: &'a str) -> Result<Self> {
        match DeTable::parse(source) {
            Ok(table) => Ok(Self::new(source, String::new(), table.into_inner())),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let message = error.message().lines().next().unwrap_or("this is not TOML");
                Err(misplaced(source, at, message))
            }
        }
    }

    fn new(source: &'a str, path: String, table: DeTable<'a>) -> Self {
        let entries = table.into_iter().map(|(key, value)| {
            let (at, key) = (key.span(), key.into_inner().into_owned());
            let value = Value::new(source, format!("{path}{key}"), value);
            (key, at, value)
        });
        let entries = entries.collect();
        Self { source, path, entries, known: Vec::new() }
    }

    /// Takes a value out, if it is there.
    fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, ..)| name == key)?;
        Some(self.entries.swap_remove(at).2)
    }

    /// Reads a value with a function, if it is there.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.take(key).map(|value| read(&value)).transpose()
    }

    /// Reads text, if it is there.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        self.optional(key, Value::text)
    }

    /// Reads a word, if it is there.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>> {
        self.optional(key, Value::parsed)
    }

    /// Reads each value of an array; none when it is not there.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value<'a>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self.take(key) {
            Some(value) => value.elements()?.iter().map(read).collect(),
            None => Ok(Vec::new()),
        }
    }

    /// Reads each entry of a table of free keys, in their order; none when it is not there.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str, &Value<'a>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self.take(key) {
            Some(value) => value.entries()?.iter().map(|(name, value)| read(name, value)).collect(),
            None => Ok(Vec::new()),
        }
    }

    /// Checks that nothing is left.
    pub(super) fn finish(self) -> Result<()> {
        let Some((key, at, _)) = self.entries.iter().min_by_key(|(_, at, _)| at.start) else {
            return Ok(());
        };
        let error =
            misplaced(self.source, at.start, &format!("there is no key {}{key}", self.path));
        let near = |known: &&str| strsim::jaro_winkler(known, key);
        let nearest = self.known.iter().copied().max_by(|a, b| near(a).total_cmp(&near(b)));
        Err(match nearest.filter(|known| near(known) > 0.8) {
            Some(nearest) => error.with_hint(format!("write {}{nearest}", self.path)),
            None => error.with_hint(format!("the keys are: {}", self.known.join(", "))),
        })
    }
}

impl<'a> Value<'a> {
    fn new(source: &'a str, path: String, value: Spanned<DeValue<'a>>) -> Self {
        Self { source, path, span: value.span(), value: value.into_inner() }
    }

    /// Makes an error about this value.
    pub(super) fn error(&self, problem: impl Display) -> CliError {
        misplaced(self.source, self.span.start, &format!("{}: {problem}", self.path))
    }

    /// Puts the place in front of an error.
    pub(super) fn check<T, E: Display>(&self, result: Result<T, E>) -> Result<T> {
        result.map_err(|error| self.error(error))
    }

    fn wrong_kind(&self, wanted: &str) -> CliError {
        self.error(format!("{wanted} is expected, not {}", kind(&self.value)))
    }

    /// Reads text without control characters.
    pub(super) fn text(&self) -> Result<String> {
        let text = self.value.as_str().ok_or_else(|| self.wrong_kind("text"))?;
        if text.contains(char::is_control) {
            return Err(self.error("a control character is not expected"));
        }
        Ok(text.to_owned())
    }

    /// Reads text of a form.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self) -> Result<T> {
        self.check(self.text()?.parse())
    }

    /// Reads text of a form, or a number that is written as such.
    pub(super) fn number_or_parsed<T: FromStr<Err: Display>>(&self) -> Result<T> {
        match self.value.as_integer() {
            Some(number) => self.check(number.as_str().parse()),
            None => self.parsed(),
        }
    }

    /// Reads an entry of a policy.
    pub(super) fn entry(&self) -> Result<String> {
        let text = self.text()?;
        self.check(Policy::builder(Mode::Strict).deny(&text))?;
        Ok(text)
    }

    /// Returns the values of an array.
    pub(super) fn elements(&self) -> Result<Vec<Self>> {
        let values = self.value.as_array().ok_or_else(|| self.wrong_kind("an array"))?;
        let element = |(number, value): (usize, &Spanned<DeValue<'a>>)| {
            Self::new(self.source, format!("{}[{number}]", self.path), value.clone())
        };
        Ok(values.iter().enumerate().map(element).collect())
    }

    /// Returns keys and values of a table, in their order in the file.
    pub(super) fn entries(&self) -> Result<Vec<(String, Self)>> {
        let mut entries = self.fields()?.entries;
        entries.sort_by_key(|(_, at, _)| at.start);
        Ok(entries.into_iter().map(|(key, _, value)| (key, value)).collect())
    }

    /// Returns the keys of a table.
    pub(super) fn fields(&self) -> Result<Fields<'a>> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_kind("a table"))?;
        Ok(Fields::new(self.source, format!("{}.", self.path), table.clone()))
    }

    /// Adds what would be typed for an option of this value.
    pub(super) fn as_flags(&self, option: &str, flags: &mut Vec<String>) -> Result<()> {
        match &self.value {
            DeValue::Boolean(true) => flags.push(format!("--{option}")),
            DeValue::Boolean(false) => {}
            DeValue::Integer(number) => flags.push(format!("--{option}={}", number.as_str())),
            DeValue::Array(_) => {
                for element in self.elements()? {
                    flags.push(format!("--{option}={}", element.text()?));
                }
            }
            _ => flags.push(format!("--{option}={}", self.text()?)),
        }
        Ok(())
    }
}

/// Says what kind of value somebody wrote.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Makes an error with line and column, both from 1 on; the column counts characters.
fn misplaced(source: &str, at: usize, problem: &str) -> CliError {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    CliError::usage(format!("{FILE}:{line}:{column}: {problem}"))
}
