//! Placeholders on their way to somewhere.

use http::{HeaderName, request};
use moat_provider_core::Slot;
use percent_encoding::percent_decode_str;

use super::carried::{Known, find_reading};
use super::pairs::pairs;

/// How much of a request is looked at.
const MOST_VALUES: usize = 256;

/// A placeholder of this run in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    placeholder: String,
    place: Where,
}

/// Where in a request a placeholder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    Slot(Slot),
    Path,
}

impl Attempt {
    /// Returns the placeholder. It is not secret.
    #[must_use]
    pub fn placeholder(&self) -> &str {
        &self.placeholder
    }

    /// Returns the header or the key of the query that carries it; `None` for the path.
    #[must_use]
    pub fn slot(&self) -> Option<&Slot> {
        match &self.place {
            Where::Slot(slot) => Some(slot),
            Where::Path => None,
        }
    }
}

/// Looks at the head of a request: whole values only, not text.
pub(super) fn find(request: &request::Parts, known: &Known) -> Vec<Attempt> {
    let Some(shortest) = known.shortest() else { return Vec::new() };
    let is_too_short = |value: &[u8]| value.len() < shortest;
    let ours = |text: &str| find_reading(text, |text| known.own(text).map(str::to_owned));
    let headers = request.headers.iter().take(MOST_VALUES);
    let headers = headers.filter(|(_, value)| !is_too_short(value.as_bytes()));
    let headers = headers.filter_map(|(name, value)| {
        let placeholder = ours(value.to_str().ok()?)?;
        let slot = Slot::Header(HeaderName::clone(name));
        Some(Attempt { placeholder, place: Where::Slot(slot) })
    });
    let query = request.uri.query().unwrap_or_default();
    let query = Some(query).filter(|query| !is_too_short(query.as_bytes())).into_iter();
    let query =
        query.flat_map(|query| pairs(query.as_bytes())).take(MOST_VALUES).filter_map(|pair| {
            let placeholder = ours(pair.text()?)?;
            let slot = Slot::QueryKey(pair.key_text().into());
            Some(Attempt { placeholder, place: Where::Slot(slot) })
        });
    let segments = request.uri.path().split('/').take(MOST_VALUES);
    let segments = segments.filter(|segment| !is_too_short(segment.as_bytes()));
    let path = segments.filter_map(|segment| {
        let placeholder = ours(&percent_decode_str(segment).decode_utf8_lossy())?;
        Some(Attempt { placeholder, place: Where::Path })
    });
    headers.chain(query).chain(path).collect()
}
