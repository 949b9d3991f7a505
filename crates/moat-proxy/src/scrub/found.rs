//! What scrubbing found, for the record of a request: which secret, in which form, where.

use std::fmt;

use moat_provider_core::SecretRef;

/// What scrubbing did to one answer. It holds names and counts, and no byte of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    hits: Vec<Hit>,
    partials: u64,
    unscanned: Vec<Box<str>>,
}

impl Found {
    /// Whether nothing was found, and everything could be looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty() && self.partials == 0 && self.unscanned.is_empty()
    }

    /// Returns what was found, in the order in which it came first.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// Returns how often the beginning of a secret was masked because it had to be released before
    /// its end came.
    #[must_use]
    pub fn partials(&self) -> u64 {
        self.partials
    }

    /// Returns the names of content codings that could not be undone: what they hide was not
    /// looked at.
    #[must_use]
    pub fn unscanned(&self) -> &[Box<str>] {
        &self.unscanned
    }

    /// Adds what was found elsewhere in the same answer.
    pub fn merge(&mut self, other: Self) {
        for hit in other.hits {
            self.add(&hit.secret, hit.form, hit.place, hit.count);
        }
        self.partials += other.partials;
        for coding in other.unscanned {
            self.add_unscanned(&coding);
        }
    }

    /// How often anything was masked.
    pub(super) fn total(&self) -> u64 {
        self.hits.iter().map(Hit::count).sum::<u64>() + self.partials
    }

    pub(super) fn add(&mut self, secret: &SecretRef, form: Form, place: Place, count: u64) {
        let same = |hit: &&mut Hit| hit.secret == *secret && hit.form == form && hit.place == place;
        match self.hits.iter_mut().find(same) {
            Some(hit) => hit.count += count,
            None => self.hits.push(Hit { secret: secret.clone(), form, place, count }),
        }
    }

    pub(super) fn add_partial(&mut self) {
        self.partials += 1;
    }

    /// The text comes from the vendor: it is bounded here and escaped where it is shown (law L18).
    pub(super) fn add_unscanned(&mut self, coding: &str) {
        const MOST: usize = 8;
        let coding: Box<str> = coding.chars().take(64).collect();
        if self.unscanned.len() < MOST && !self.unscanned.contains(&coding) {
            self.unscanned.push(coding);
        }
    }
}

/// One secret that was found in one form at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    secret: SecretRef,
    form: Form,
    place: Place,
    count: u64,
}

impl Hit {
    /// Returns which secret it was.
    #[must_use]
    pub fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// Returns how it was written.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns where it stood.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns how often it was found there.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// How a secret was written.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As it is.
    Exact,
    /// As the content of a JSON string (RFC 8259, section 7), with escapes.
    Json,
    /// Percent-encoded (RFC 3986, section 2.1), in whole or where a serialiser has to.
    Percent,
    /// In base64 (RFC 4648, sections 4 and 5), also inside of a longer text, as in Basic
    /// credentials.
    Base64,
    /// In hexadecimal.
    Hex,
}

impl Form {
    /// Returns the name for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Json => "json",
            Self::Percent => "percent",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The part of an answer in which something was found.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A header's value.
    Head,
    /// The body.
    Body,
    /// A trailer's value.
    Trailer,
    /// A message of a WebSocket.
    Message,
}

impl Place {
    /// Returns the name for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Body => "body",
            Self::Trailer => "trailer",
            Self::Message => "message",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
