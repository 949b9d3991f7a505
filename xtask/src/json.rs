//! A reader for the JSON that cargo writes.
//!
//! Only what cargo's metadata needs: the tree of values and lookups in it. Numbers and booleans are
//! recognised but not kept, because nothing here asks for one.

use std::fmt;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `null`.
    Null,
    /// A number, `true` or `false`.
    Scalar,
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members in the order of the text.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Returns the member `key` of an object, or `null`.
    pub(crate) fn member(&self, key: &str) -> &Value {
        self.members().iter().find(|(name, _)| name == key).map_or(&Value::Null, |(_, value)| value)
    }

    /// Returns the members of an object; other values have none.
    pub(crate) fn members(&self) -> &[(String, Value)] {
        match self {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Returns the elements of an array; other values have none.
    pub(crate) fn elements(&self) -> &[Value] {
        match self {
            Value::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Returns the text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Text that is not JSON, and where it stops being so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    offset: usize,
    expected: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.offset)
    }
}

/// Parses one JSON document.
///
/// # Errors
///
/// The first place where the text is not JSON.
pub(crate) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let mut reader = Reader { text, offset: 0 };
    let value = reader.value()?;
    reader.skip_whitespace();
    if reader.offset == text.len() { Ok(value) } else { Err(reader.expected("the end")) }
}

struct Reader<'a> {
    text: &'a str,
    offset: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, SyntaxError> {
        self.skip_whitespace();
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Value::String),
            _ => self.word(),
        }
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        let mut members = Vec::new();
        self.list('{', '}', |reader| {
            let key = reader.string()?;
            reader.skip_whitespace();
            reader.require(':', "a colon")?;
            members.push((key, reader.value()?));
            Ok(())
        })?;
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, SyntaxError> {
        let mut elements = Vec::new();
        self.list('[', ']', |reader| {
            elements.push(reader.value()?);
            Ok(())
        })?;
        Ok(Value::Array(elements))
    }

    /// Reads what stands between two brackets, with commas between the items.
    fn list(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.require(open, "an opening bracket")?;
        self.skip_whitespace();
        if self.take(close) {
            return Ok(());
        }
        loop {
            self.skip_whitespace();
            item(self)?;
            self.skip_whitespace();
            if self.take(close) {
                return Ok(());
            }
            self.require(',', "a comma or a closing bracket")?;
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.require('"', "a string")?;
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(character) => text.push(character),
                None => return Err(self.expected("a closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        match self.next() {
            Some(character @ ('"' | '\\' | '/')) => Ok(character),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.code_point(),
            _ => Err(self.expected("an escape")),
        }
    }

    /// Reads the digits of `\uXXXX`, and of the second half where a surrogate pair begins.
    fn code_point(&mut self) -> Result<char, SyntaxError> {
        let first = self.code_unit()?;
        let units = if (0xd800..0xdc00).contains(&first) {
            self.require('\\', "a low surrogate")?;
            self.require('u', "a low surrogate")?;
            vec![first, self.code_unit()?]
        } else {
            vec![first]
        };
        let decoded = char::decode_utf16(units).next();
        decoded.and_then(Result::ok).ok_or_else(|| self.expected("a surrogate pair"))
    }

    fn code_unit(&mut self) -> Result<u16, SyntaxError> {
        let digits = self.text.get(self.offset..self.offset + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.offset += 4;
        Ok(unit)
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let rest = &self.text[self.offset..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let value = match word {
            "null" => Value::Null,
            "true" | "false" => Value::Scalar,
            _ if word.parse::<f64>().is_ok_and(f64::is_finite) => Value::Scalar,
            _ => return Err(self.expected("a value")),
        };
        self.offset += word.len();
        Ok(value)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.offset += character.len_utf8();
        Some(character)
    }

    fn take(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        if found {
            self.offset += character.len_utf8();
        }
        found
    }

    fn require(&mut self, character: char, expected: &'static str) -> Result<(), SyntaxError> {
        if self.take(character) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn skip_whitespace(&mut self) {
        let rest = &self.text[self.offset..];
        self.offset += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn expected(&self, expected: &'static str) -> SyntaxError {
        SyntaxError { offset: self.offset, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn reads_every_kind_of_value() {
        let text = " {\"a\" : [ 1, -2.5e3 ,true,\tfalse, null], \"b\": {}, \"c\":[],\"d\":\"é\"}\n";
        let value = parse(text).unwrap();
        let scalars = [Value::Scalar, Value::Scalar, Value::Scalar, Value::Scalar, Value::Null];
        assert_eq!(value.member("a").elements(), scalars);
        assert_eq!(value.member("b"), &Value::Object(vec![]));
        assert_eq!(value.member("c"), &Value::Array(vec![]));
        assert_eq!(value.member("d").text(), Some("é"));
        assert_eq!(value.member("e"), &Value::Null);
    }

    #[test]
    fn reads_escapes() {
        let escaped = r#""\"\\\/\b\f\n\r\t\u00e9\ud83e\udd80""#;
        assert_eq!(parse(escaped), Ok(string("\"\\/\u{8}\u{c}\n\r\té🦀")));
    }

    #[test]
    fn says_where_the_text_is_broken() {
        for (text, offset, expected) in [
            ("", 0, "a value"),
            ("[1 2]", 3, "a comma or a closing bracket"),
            ("[1,]", 3, "a value"),
            ("{\"a\" 1}", 5, "a colon"),
            ("{a: 1}", 1, "a string"),
            ("\"abc", 4, "a closing quote"),
            (r#""\x""#, 3, "an escape"),
            (r#""\u12g4""#, 3, "four hexadecimal digits"),
            (r#""\ud83e.""#, 7, "a low surrogate"),
            (r#""\udd80""#, 7, "a surrogate pair"),
            ("nul", 0, "a value"),
            ("1 1", 2, "the end"),
        ] {
            assert_eq!(parse(text), Err(SyntaxError { offset, expected }), "{text}");
        }
    }
}
