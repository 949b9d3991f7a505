//! Which fields a GraphQL request names.
//!
//! Not a parser of the whole language: that would have to agree with the vendor's in everything. It
//! takes apart the lexical grammar (GraphQL specification, section 2.1), and reads every name that
//! can be a field as one, in whatever operation or fragment, and at whatever depth. What it cannot
//! take apart counts as unreadable.

use serde_json::value::RawValue;

use super::json::{self, Document};
use super::pairs::pairs;

/// The request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl From<json::Unreadable> for Unreadable {
    fn from(_: json::Unreadable) -> Self {
        Self
    }
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON: one operation, or a batch.
    Json,
    /// The text of the document alone: `application/graphql`.
    Text,
    /// A form with the field `query`.
    Form,
}

/// Returns every field that a body names.
pub(super) fn fields_of_body(body: &[u8], format: Format) -> Result<Vec<String>, Unreadable> {
    match format {
        Format::Json => {
            let document = Document::parse(body)?;
            let root = document.root();
            let operations = match root.get().as_bytes().first() {
                Some(b'[') => json::items(root)?,
                _ => vec![root],
            };
            let mut all = Vec::new();
            for operation in operations {
                all.extend(fields_of_operation(operation)?);
            }
            Ok(all)
        }
        Format::Text => fields(std::str::from_utf8(body).map_err(|_| Unreadable)?),
        Format::Form => match fields_of_query(body)? {
            Some(fields) => Ok(fields),
            None => Err(Unreadable),
        },
    }
}

/// Returns every field that the key `query` of a URL's query or a form names; `None` without one.
pub(super) fn fields_of_query(query: &[u8]) -> Result<Option<Vec<String>>, Unreadable> {
    let mut found = None;
    for pair in pairs(query) {
        if pair.hides(query, "query") && !pair.is("query") {
            return Err(Unreadable);
        }
        if pair.is("query") && found.replace(fields(pair.text().ok_or(Unreadable)?)?).is_some() {
            return Err(Unreadable);
        }
        if pair.is("extensions") {
            return Err(Unreadable);
        }
    }
    Ok(found)
}

/// One operation of a JSON body. A persisted one, which is named by its hash, cannot be read; nor
/// can one whose keys some server reads in another way (Go ignores their case).
fn fields_of_operation(operation: &RawValue) -> Result<Vec<String>, Unreadable> {
    let mut text = None;
    for (key, value) in json::members(operation)? {
        if key.eq_ignore_ascii_case("query") {
            if *key != *"query" {
                return Err(Unreadable);
            }
            text = Some(json::string(value)?);
        }
        if key.eq_ignore_ascii_case("extensions") && value.get().starts_with('{') {
            let is_persisted = |key: &str| key.eq_ignore_ascii_case("persistedQuery");
            if json::members(value)?.iter().any(|(key, _)| is_persisted(key)) {
                return Err(Unreadable);
            }
        }
    }
    fields(&text.ok_or(Unreadable)?)
}

/// A token, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Punctuator(u8),
    Spread,
    /// A number or a string.
    Value,
}

/// Returns every field that a document names.
pub(super) fn fields(document: &str) -> Result<Vec<String>, Unreadable> {
    let tokens = tokens(document)?;
    let mut found = Vec::new();
    let mut nesting = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            Token::Punctuator(open @ (b'{' | b'(' | b'[')) => nesting.push(open),
            Token::Punctuator(close @ (b'}' | b')' | b']')) => {
                let open = match close {
                    b'}' => b'{',
                    b')' => b'(',
                    _ => b'[',
                };
                if nesting.pop() != Some(open) {
                    return Err(Unreadable);
                }
            }
            // Within brackets and parentheses are arguments, variables and values.
            Token::Name(name)
                if !nesting.is_empty() && nesting.iter().all(|open| *open == b'{') =>
            {
                let before = at.checked_sub(1).map(|before| tokens[before]);
                let is_alias = tokens.get(at + 1) == Some(&Token::Punctuator(b':'));
                let is_directive = before == Some(Token::Punctuator(b'@'));
                if !is_alias && !is_directive {
                    found.push(name.to_owned());
                }
            }
            _ => {}
        }
    }
    if nesting.is_empty() { Ok(found) } else { Err(Unreadable) }
}

fn tokens(document: &str) -> Result<Vec<Token<'_>>, Unreadable> {
    let mut tokens = Vec::new();
    let mut rest = document.strip_prefix('\u{feff}').unwrap_or(document);
    while let Some(first) = rest.bytes().next() {
        let len = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => 1,
            b'#' => comment_len(rest)?,
            b'"' => {
                tokens.push(Token::Value);
                string_len(rest)?
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                tokens.push(Token::Name(&rest[..len]));
                len
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                tokens.push(Token::Value);
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            }
            b'.' if rest.starts_with("...") => {
                tokens.push(Token::Spread);
                3
            }
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|'
            | b'}' => {
                tokens.push(Token::Punctuator(first));
                1
            }
            _ => return Err(Unreadable),
        };
        rest = &rest[len..];
    }
    Ok(tokens)
}

/// The length of the comment with which a text begins. Editions before 2016 ended a line at
/// Unicode's separators too, and graphql-ruby (2.x, `IGNORE_REGEXP`) ends one at a line feed alone:
/// a comment that has one of the others can be read in two ways.
fn comment_len(text: &str) -> Result<usize, Unreadable> {
    let len = text.find('\n').unwrap_or(text.len());
    let line = text[..len].strip_suffix('\r').unwrap_or(&text[..len]);
    if line.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']) { Err(Unreadable) } else { Ok(len) }
}

/// The length of the string or block string with which a text begins.
fn string_len(text: &str) -> Result<usize, Unreadable> {
    match text.strip_prefix("\"\"\"") {
        Some(rest) => block_len(rest).map(|len| 3 + len),
        None => quoted_len(&text[1..]).map(|len| 1 + len),
    }
}

/// The length of the rest of a string.
fn quoted_len(text: &str) -> Result<usize, Unreadable> {
    let mut rest = text.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'"' => return Ok(at + 1),
            b'\n' | b'\r' => return Err(Unreadable),
            // What else is escaped ends the string for some, and not for others.
            b'\\' => match rest.next() {
                Some((_, next)) if b"\"\\/bfnrtu".contains(&next) => {}
                _ => return Err(Unreadable),
            },
            _ => {}
        }
    }
    Err(Unreadable)
}

/// The length of the rest of a block string.
///
/// Servers agree on `"""` and `\"""`, unless there is one more quote behind, or one more backslash
/// before: graphql-ruby (2.x, `BLOCK_STRING_REGEXP`) takes the last three of many quotes for the
/// end, also behind a backslash.
fn block_len(text: &str) -> Result<usize, Unreadable> {
    let mut from = 0;
    loop {
        let (before, rest) = text[from..].split_once("\"\"\"").ok_or(Unreadable)?;
        from = text.len() - rest.len();
        let escapes = before.bytes().rev().take_while(|byte| *byte == b'\\').count();
        match (escapes, rest.starts_with('"')) {
            (0, false) => return Ok(from),
            (1, false) => {}
            _ => return Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(document: &str) -> Vec<String> {
        fields(document).unwrap()
    }

    #[test]
    fn fields_are_found_wherever_they_can_stand() {
        for document in [
            "mutation { createKey }",
            "mutation{a:createKey}",
            "mutation M($k: X = {createOther: 1}) @d(x: 1) { a : createKey(in: $k) { id } }",
            "mutation { ...F } fragment F on Mutation { createKey }",
            "mutation { ... on Mutation { createKey } }",
            "mutation { ...@include(if: true) { createKey } }",
            "# query\r\nmutation { createKey }",
            "mutation { # }\n createKey }",
            "mutation { x(a: \"}\\\" {\") createKey }",
            "mutation { x(a: \"\"\" \\\"\"\" } \"\"\") createKey }",
            "mutation { x(a: \"\") createKey }",
            "\u{feff}mutation{,,createKey,,}",
            "query A { x } mutation B { createKey }",
            "mutation { x @d createKey }",
            "mutation { x { y { createKey } } }",
        ] {
            assert!(names(document).contains(&"createKey".to_owned()), "{document}");
        }
    }

    #[test]
    fn what_only_looks_like_a_field_is_none() {
        for document in [
            "mutation createKey { x }",
            "mutation { createKey: x }",
            "mutation { x @createKey }",
            "mutation { x(createKey: 1) }",
            "mutation { x(a: {createKey: 1}, b: [createKey]) }",
            "mutation($createKey: I) { x(a: $createKey) }",
            "mutation { x(a: \"createKey\") } # createKey",
            "mutation { x(a: \"\"\"{ createKey }\"\"\") }",
            "mutation { createKeys }",
        ] {
            assert!(!names(document).contains(&"createKey".to_owned()), "{document}");
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_unreadable() {
        for document in [
            "mutation { a(b: \"",
            "{ a(b: \"\n\") }",
            "{",
            "}",
            "{)",
            "{ a ; b }",
            "{ é }",
            "{ a \\ }",
            "{ # \u{2028} createKey\n }",
            "# query\rmutation { createKey }",
            "{ a(b: \"\"\" \\\"\"\") }",
        ] {
            assert_eq!(fields(document), Err(Unreadable), "{document}");
        }
    }

    #[test]
    fn bodies_are_read_in_each_format() {
        let fields = |body: &str| fields_of_body(body.as_bytes(), Format::Json);
        assert_eq!(fields(r#"{"query":"{\u0061}"}"#).unwrap(), ["a"]);
        assert_eq!(fields(r#"[{"query":"{a}"},{"query":"{b}"}]"#).unwrap(), ["a", "b"]);
        for body in [
            "",
            "1",
            "[1]",
            "{}",
            r#"{"query":null}"#,
            r#"{"query":"{a}","query":"{b}"}"#,
            r#"{"query":"{a}","Query":"{b}"}"#,
            r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}"#,
            r#"{"query":"{a}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}"#,
        ] {
            assert_eq!(fields(body), Err(Unreadable), "{body}");
        }
        let text = fields_of_body(b"{a}", Format::Text).unwrap();
        let form = fields_of_body(b"x=1&query=%7Ba%7D", Format::Form).unwrap();
        assert_eq!((text, form), (vec!["a".to_owned()], vec!["a".to_owned()]));
        assert_eq!(fields_of_body(b"x=1", Format::Form), Err(Unreadable));
        assert_eq!(fields_of_query(b"query={a}&query={b}"), Err(Unreadable));
        assert_eq!(fields_of_query(b"x=1;query={a}"), Err(Unreadable));
        assert_eq!(fields_of_query(b"x=1"), Ok(None));
    }
}
