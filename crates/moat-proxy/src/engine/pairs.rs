//! Keys and values of queries and forms, with the places where they stand.

use std::borrow::Cow;
use std::ops::Range;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode;

/// One key and value.
pub(super) struct Pair<'a> {
    key: Cow<'a, [u8]>,
    /// The decoded value.
    pub(super) value: Cow<'a, [u8]>,
    /// Where key and value stand.
    pub(super) whole: Range<usize>,
    /// Where the value stands, as it is written.
    pub(super) raw_value: Range<usize>,
    /// Whether a server that splits at `;` too reads something else.
    pub(super) has_semicolon: bool,
}

impl Pair<'_> {
    /// Whether this is the value of a key.
    pub(super) fn is(&self, key: &str) -> bool {
        *self.key == *key.as_bytes()
    }

    /// Whether a server that splits at `;` finds the key inside of this pair.
    pub(super) fn hides(&self, text: &[u8], key: &str) -> bool {
        self.has_semicolon
            && text[self.whole.clone()]
                .split(|byte| *byte == b';')
                .any(|piece| *decoded(split_key(piece).0) == *key.as_bytes())
    }

    /// Returns the decoded key, for a record.
    pub(super) fn key_text(&self) -> String {
        String::from_utf8_lossy(&self.key).into_owned()
    }

    /// Returns the decoded value as text.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }
}

/// Splits a query or form at `&`.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut start = 0;
    text.split(|byte| *byte == b'&').map(move |piece| {
        let whole = start..start + piece.len();
        start = whole.end + 1;
        let (key, value) = split_key(piece);
        Pair {
            key: decoded(key),
            value: decoded(value),
            raw_value: whole.end - value.len()..whole.end,
            has_semicolon: piece.contains(&b';'),
            whole,
        }
    })
}

fn split_key(piece: &[u8]) -> (&[u8], &[u8]) {
    match piece.iter().position(|byte| *byte == b'=') {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (piece, &[]),
    }
}

fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'+') {
        let spaced: Vec<u8> =
            raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect::<Vec<u8>>().into()
    } else {
        percent_decode(raw).into()
    }
}

/// Returns a query without some of its pairs; `None` when none is left.
pub(super) fn without(query: &str, removed: impl Fn(&Pair<'_>) -> bool) -> Option<String> {
    let kept: Vec<&str> = pairs(query.as_bytes())
        .filter(|pair| !removed(pair))
        .map(|pair| &query[pair.whole])
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Replaces parts of a text; all other bytes stay.
///
/// The ranges do not overlap.
pub(super) fn edited<'a>(
    text: &[u8],
    edits: &mut [(Range<usize>, impl AsRef<str> + 'a)],
) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        out.extend_from_slice(&text[at..range.start]);
        out.extend_from_slice(replacement.as_ref().as_bytes());
        at = range.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Puts another path and query into a URI.
pub(super) fn set_path_and_query(uri: &mut Uri, path_and_query: Vec<u8>) -> Result<(), Misfit> {
    let path_and_query =
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(path_and_query)).map_err(|_| Misfit)?;
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(path_and_query);
    *uri = Uri::from_parts(parts).map_err(|_| Misfit)?;
    Ok(())
}

/// A text that is no path and query.
#[derive(Debug)]
pub(super) struct Misfit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_know_where_they_stand() {
        let text = b"a=1&%6Bey=x+y%2B&&flag";
        let found: Vec<_> = pairs(text).map(|pair| (pair.whole, pair.raw_value)).collect();
        assert_eq!(found, [(0..3, 2..3), (4..16, 10..16), (17..17, 17..17), (18..22, 22..22)]);
        let key = pairs(text).find(|pair| pair.is("key")).unwrap();
        assert_eq!(&*key.value, b"x y+");
    }

    #[test]
    fn a_key_behind_a_semicolon_is_seen() {
        let text = b"a=1;key=2";
        let pair = pairs(text).next().unwrap();
        assert!(pair.hides(text, "key"));
        assert!(!pair.is("key"));
        assert!(!pair.hides(text, "ke"));
    }

    #[test]
    fn what_is_not_removed_keeps_its_bytes() {
        let without_key = |query| without(query, |pair| pair.is("key"));
        assert_eq!(without_key("b=%7e&key=1&a=;&b=+").unwrap(), "b=%7e&a=;&b=+");
        assert_eq!(without_key("key=1&key=2"), None);
    }
}
