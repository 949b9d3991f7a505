//! Reading what a value carries: a placeholder bare, behind a scheme word, or inside Basic.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use moat_provider_core::{Placeholder, PlaceholderKey};

/// Clients that leave the padding out are understood as well.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Lengths between which a text may be a placeholder at all.
const PLAUSIBLE: std::ops::RangeInclusive<usize> = 16..=8192;

/// Which placeholders are this run's, and which texts are placeholders at all.
#[derive(Clone)]
pub(super) struct Known {
    key: PlaceholderKey,
    base: Arc<Texts>,
    held: Arc<Texts>,
}

/// A set of placeholders. Few lengths occur, so that most texts are told apart by theirs.
#[derive(Clone, Default)]
struct Texts {
    set: HashSet<Box<str>>,
    lengths: Vec<usize>,
}

impl Texts {
    fn get(&self, text: &str) -> Option<&str> {
        if !self.lengths.contains(&text.len()) {
            return None;
        }
        self.set.get(text).map(|known| &**known)
    }
}

impl<'a> Extend<&'a Placeholder> for Texts {
    fn extend<I: IntoIterator<Item = &'a Placeholder>>(&mut self, placeholders: I) {
        self.set.extend(placeholders.into_iter().map(|placeholder| placeholder.as_str().into()));
        self.lengths = self.set.iter().map(|text| text.len()).collect();
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }
}

impl<'a> FromIterator<&'a Placeholder> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a Placeholder>>(placeholders: I) -> Self {
        let mut texts = Self::default();
        texts.extend(placeholders);
        texts
    }
}

impl Known {
    pub(super) fn new<'a>(
        key: PlaceholderKey,
        placeholders: impl Iterator<Item = &'a Placeholder>,
    ) -> Self {
        Self { key, base: Arc::new(placeholders.collect()), held: Arc::default() }
    }

    /// Adds placeholders that providers made and no rule names.
    pub(super) fn add<'a>(&mut self, placeholders: impl Iterator<Item = &'a Placeholder>) {
        Arc::make_mut(&mut self.base).extend(placeholders);
    }

    /// Returns the same with other held placeholders.
    pub(super) fn with_held<'a>(&self, held: impl Iterator<Item = &'a Placeholder>) -> Self {
        Self { key: self.key.clone(), base: self.base.clone(), held: Arc::new(held.collect()) }
    }

    /// Returns how short a value can be that carries a placeholder of this run; `None` when there
    /// are no placeholders.
    pub(super) fn shortest(&self) -> Option<usize> {
        self.base.lengths.iter().chain(&self.held.lengths).min().copied()
    }

    /// Returns a text if it is one of this run's placeholders.
    pub(super) fn own(&self, text: &str) -> Option<&str> {
        self.base.get(text).or_else(|| self.held.get(text))
    }

    /// Whether a text is a placeholder, and not one of this run's.
    pub(super) fn is_foreign(&self, text: &str) -> bool {
        PLAUSIBLE.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && self.key.recognizes(text)
            && self.own(text).is_none()
    }
}

/// Calls back with each text that a value may mean as a placeholder, until an answer is given: the
/// whole, what follows one scheme word, and the user and password of Basic credentials (RFC 7617).
pub(super) fn find_reading<R>(value: &str, mut found: impl FnMut(&str) -> Option<R>) -> Option<R> {
    let value = value.trim();
    if is_too_short(value.as_bytes()) {
        return None;
    }
    if let Some(answer) = found(value) {
        return Some(answer);
    }
    let (scheme, parameters) = split_scheme(value)?;
    if let Some(answer) = found(parameters) {
        return Some(answer);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = LENIENT.decode(parameters).ok()?;
    let mut halves = decoded.splitn(2, |byte| *byte == b':');
    halves.find_map(|half| found(std::str::from_utf8(half).ok()?))
}

/// Splits a value into the scheme, a token (RFC 9110, section 11.1), and the rest.
pub(super) fn split_scheme(value: &str) -> Option<(&str, &str)> {
    let value = value.trim();
    let (scheme, rest) = value.split_at(value.bytes().position(|byte| b" \t".contains(&byte))?);
    let rest = rest.trim();
    (is_token(scheme) && !rest.is_empty()).then_some((scheme, rest))
}

/// Whether a text is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Whether a value is too short to carry a placeholder.
pub(super) fn is_too_short(value: &[u8]) -> bool {
    value.len() < *PLAUSIBLE.start()
}

/// Whether a value carries nothing: white space, or a scheme word that an empty variable followed.
pub(super) fn is_empty(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || ["bearer", "basic", "token"].iter().any(|scheme| value.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use moat_provider_core::{Alphabet, PlaceholderShape, RunContext};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What core takes for a carrier of a placeholder is one here too.
        #[test]
        fn nothing_that_core_recognizes_is_missed(
            scheme in "[A-Za-z-]{1,8}",
            basic in any::<bool>(),
            other in "[a-z:]{0,6}",
            before in any::<bool>(),
            space in "[ \t]{0,2}",
        ) {
            let key = PlaceholderKey::from_bytes([3; 32]);
            let (id, home) = ("run".parse().unwrap(), "/".parse().unwrap());
            let run = RunContext::builder(id, home, key.clone()).build();
            let shape = PlaceholderShape::prefixed("t_", Alphabet::Base64Url, 20);
            let ours = run.placeholder(&"a".parse().unwrap(), "token", &shape).unwrap();
            let pair = if before { format!("{ours}:{other}") } else { format!("{other}:{ours}") };
            let value = match basic {
                true => format!("bAsIc {space}{}", LENIENT.encode(pair)),
                false => format!("{scheme} {space}{ours}{space}"),
            };
            let known = Known::new(key, std::iter::once(&ours));
            let found = find_reading(&value, |text| known.own(text));
            let header = HeaderValue::from_str(&value).unwrap();
            prop_assert!(found.is_some() || !ours.is_carried_by(&header), "{}", value);
        }
    }
}
