//! Finding a value in JSON text, by the bytes where it stands.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde_core::Deserialize;
use serde_core::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON text, checked.
pub(super) struct Document<'a> {
    text: &'a str,
    root: &'a RawValue,
}

/// What was found at a pointer.
pub(super) enum Field {
    /// A string, decoded, and where it stands with its quotes.
    String(String, Range<usize>),
    /// `null`.
    Null,
    /// A number, an object or anything else that is no string.
    Other,
}

/// Why there is nothing to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not JSON.
    Syntax,
    /// An object on the way names one key twice.
    DuplicateKey,
}

impl<'a> Document<'a> {
    /// Checks a text.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Syntax)?;
        let root = serde_json::from_str(text).map_err(|_| Unreadable::Syntax)?;
        Ok(Self { text, root })
    }

    /// Returns the outermost value.
    pub(super) fn root(&self) -> &'a RawValue {
        self.root
    }

    /// Finds what a JSON pointer (RFC 6901) points to; `None` when there is nothing.
    pub(super) fn find(&self, pointer: &str) -> Result<Option<Field>, Unreadable> {
        let mut at = self.root;
        let steps = match pointer.strip_prefix('/') {
            Some(steps) => steps,
            None if pointer.is_empty() => return self.field(at).map(Some),
            None => return Ok(None),
        };
        for step in steps.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match at.get().as_bytes().first() {
                Some(b'{') => {
                    let members = members(at)?;
                    members.into_iter().find(|(key, _)| **key == *step).map(|(_, value)| value)
                }
                Some(b'[') => {
                    let items = items(at)?;
                    index(&step).and_then(|index| items.into_iter().nth(index))
                }
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        self.field(at).map(Some)
    }

    fn field(&self, value: &'a RawValue) -> Result<Field, Unreadable> {
        match value.get().as_bytes().first() {
            Some(b'"') => Ok(Field::String(string(value)?, self.range(value))),
            Some(b'n') => Ok(Field::Null),
            _ => Ok(Field::Other),
        }
    }

    /// Where a value stands: a `RawValue` is a part of the text that it was read from.
    fn range(&self, value: &RawValue) -> Range<usize> {
        let start = value.get().as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + value.get().len()
    }
}

/// Returns the members of an object.
pub(super) fn members<'a>(
    object: &'a RawValue,
) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Unreadable> {
    let members: Members<'a> =
        serde_json::from_str(object.get()).map_err(|_| Unreadable::Syntax)?;
    let mut keys: Vec<&str> = members.0.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Unreadable::DuplicateKey);
    }
    Ok(members.0)
}

/// Returns the items of an array.
pub(super) fn items(array: &RawValue) -> Result<Vec<&RawValue>, Unreadable> {
    serde_json::from_str(array.get()).map_err(|_| Unreadable::Syntax)
}

/// Decodes a string.
pub(super) fn string(value: &RawValue) -> Result<String, Unreadable> {
    serde_json::from_str(value.get()).map_err(|_| Unreadable::Syntax)
}

/// An index of RFC 6901: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| plain)
}

/// An object with all its members, also those that are there twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(std::marker::PhantomData))
    }
}

struct MembersVisitor<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for MembersVisitor<'a> {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // A body of commas and keys must not become a far larger list.
        const MOST: usize = 100_000;
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if members.len() == MOST {
                return Err(A::Error::custom("too many members"));
            }
            members.push((key.into(), map.next_value()?));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, pointer: &str) -> Option<String> {
        match Document::parse(text.as_bytes()).unwrap().find(pointer).unwrap() {
            Some(Field::String(decoded, range)) => {
                assert_eq!(serde_json::from_str::<String>(&text[range]).unwrap(), decoded);
                Some(decoded)
            }
            _ => None,
        }
    }

    #[test]
    fn a_pointer_finds_its_string_where_it_stands() {
        let text = r#" {"a" : [0, {"b/~": "x\u0041\n"}], "" : "e", "n":null} "#;
        assert_eq!(find(text, "/a/1/b~1~0").as_deref(), Some("xA\n"));
        assert_eq!(find(text, "/").as_deref(), Some("e"));
        assert_eq!(find(text, "/a/01/b~1~0"), None);
        assert_eq!(find(text, "/a/0"), None);
        assert_eq!(find(text, "/a/x"), None);
        assert_eq!(find(text, "a"), None);
        assert_eq!(find(r#""root""#, "").as_deref(), Some("root"));
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error_on_the_way_alone() {
        let text = br#"{"a":{"x":1,"\u0078":2},"b":"v"}"#;
        let document = Document::parse(text).unwrap();
        assert!(matches!(document.find("/a/x"), Err(Unreadable::DuplicateKey)));
        assert!(matches!(document.find("/b"), Ok(Some(Field::String(..)))));
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in [&b""[..], b"{", b"{'a':1}", b"\xff", b"{} x", b"\xef\xbb\xbf{}"] {
            assert!(Document::parse(text).is_err(), "{text:?}");
        }
    }
}
