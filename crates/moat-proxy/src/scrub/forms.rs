//! The forms in which a secret is looked for.
//!
//! Each serialiser writes a text in one way throughout, so the forms of one secret are few. A text
//! that mixes them (some characters escaped, others not, against the habit of every serialiser
//! known) is not found.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::Form;

/// How many bytes of a secret, behind its public prefix, are no accident any more.
///
/// 8 characters of a vendor's alphabet of 62 happen by chance once in 2·10¹⁴ places.
pub(super) const SURE: usize = 8;

/// One way of writing a secret.
pub(super) struct Written {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) form: Form,
    /// How many bytes at the beginning say nothing but the vendor's public prefix.
    pub(super) public: usize,
    /// From how many bytes on a beginning is taken for the secret itself.
    pub(super) sure: usize,
}

/// Writes a secret in every form. `public` is the length of its public prefix, at a character's
/// border.
pub(super) fn all(secret: &str, public: usize) -> Vec<Written> {
    let sure = (public + SURE..secret.len()).find(|at| secret.is_char_boundary(*at));
    let sure = sure.unwrap_or(secret.len());
    let mut written: Vec<Written> = Vec::new();
    let mut add = |form, encode: &dyn Fn(&str) -> Vec<u8>| {
        written.push(Written {
            bytes: Zeroizing::new(encode(secret)),
            form,
            public: Zeroizing::new(encode(&secret[..public])).len(),
            sure: Zeroizing::new(encode(&secret[..sure])).len(),
        });
    };
    add(Form::Exact, &|text| text.as_bytes().to_vec());
    for style in &JSON {
        add(Form::Json, &|text| style.write(text));
    }
    for digits in [UPPER, LOWER] {
        for keeps in PERCENT {
            add(Form::Percent, &|text| percent(text, keeps, digits));
        }
        add(Form::Percent, &|text| {
            let mut form = percent(text, |byte| is_form(byte) || byte == b' ', digits);
            form.iter_mut().filter(|byte| **byte == b' ').for_each(|space| *space = b'+');
            form
        });
    }
    for digits in [LOWER, UPPER] {
        add(Form::Hex, &|text| text.bytes().flat_map(|byte| pair(byte, digits)).collect());
    }
    for alignment in 0..3 {
        written.push(base64(&STANDARD_NO_PAD, secret, alignment, public, sure));
        written.push(base64(&URL_SAFE_NO_PAD, secret, alignment, public, sure));
    }
    written
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn pair(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

/// Encodes a secret that has `alignment` bytes (modulo 3) before it, and leaves out the characters
/// at both ends that depend on what stands around it.
fn base64(
    engine: &impl Engine,
    secret: &str,
    alignment: usize,
    public: usize,
    sure: usize,
) -> Written {
    let mut text = Zeroizing::new(vec![0; alignment]);
    text.extend_from_slice(secret.as_bytes());
    let encoded = Zeroizing::new(engine.encode(&*text));
    let before = (alignment * 8).div_ceil(6);
    // A character is certain when all its six bits are.
    let certain = |bytes: usize| ((alignment + bytes) * 8 / 6).saturating_sub(before);
    Written {
        bytes: Zeroizing::new(encoded.as_bytes()[before..before + certain(secret.len())].to_vec()),
        form: Form::Base64,
        public: certain(public),
        sure: certain(sure),
    }
}

/// What the percent-encoders leave as it is: nothing; RFC 3986's unreserved characters; what
/// ECMAScript's `encodeURIComponent` adds to them; the slash; all that a path may hold.
const PERCENT: [fn(u8) -> bool; 5] = [
    |_| false,
    is_unreserved,
    |byte| is_unreserved(byte) || b"!'()*".contains(&byte),
    |byte| is_unreserved(byte) || byte == b'/',
    |byte| is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte),
];

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The `application/x-www-form-urlencoded` percent-encode set of the URL standard, turned round.
fn is_form(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"*-._".contains(&byte)
}

fn percent(text: &str, keeps: impl Fn(u8) -> bool, digits: &[u8; 16]) -> Vec<u8> {
    let mut written = Vec::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if keeps(byte) {
            written.push(byte);
        } else {
            written.push(b'%');
            written.extend(pair(byte, digits));
        }
    }
    written
}

/// How one family of serialisers writes JSON strings, beyond what RFC 8259 asks for.
struct Json {
    /// Characters that become `\uXXXX` although they need not.
    escaped: &'static str,
    /// `/` becomes `\/`.
    slash: bool,
    /// Characters beyond ASCII become `\uXXXX`.
    ascii: bool,
    /// Every character becomes `\uXXXX`.
    all: bool,
    digits: &'static [u8; 16],
}

const PLAIN: Json = Json { escaped: "", slash: false, ascii: false, all: false, digits: LOWER };

const JSON: [Json; 11] = [
    // serde_json, ECMAScript.
    PLAIN,
    // Python, Ruby.
    Json { ascii: true, ..PLAIN },
    // PHP, with and without JSON_UNESCAPED_UNICODE.
    Json { slash: true, ascii: true, ..PLAIN },
    Json { slash: true, ..PLAIN },
    // Go, Rails.
    Json { escaped: "<>&", ..PLAIN },
    // Gson.
    Json { escaped: "<>&='", ..PLAIN },
    // PHP with JSON_HEX_*.
    Json { escaped: "<>&'\"", slash: true, ascii: true, digits: UPPER, ..PLAIN },
    // .NET, and Newtonsoft's HTML form.
    Json { escaped: "<>&'\"+`", ascii: true, digits: UPPER, ..PLAIN },
    Json { escaped: "<>&'\"", digits: LOWER, ..PLAIN },
    // Those who escape everything.
    Json { all: true, ..PLAIN },
    Json { all: true, digits: UPPER, ..PLAIN },
];

impl Json {
    fn write(&self, text: &str) -> Vec<u8> {
        let mut written = Vec::with_capacity(2 * text.len());
        for character in text.chars() {
            if self.all || self.escaped.contains(character) || (self.ascii && !character.is_ascii())
            {
                self.write_code(character, &mut written);
                continue;
            }
            match character {
                '"' => written.extend(b"\\\""),
                '\\' => written.extend(b"\\\\"),
                '/' if self.slash => written.extend(b"\\/"),
                '\u{8}' => written.extend(b"\\b"),
                '\u{c}' => written.extend(b"\\f"),
                '\n' => written.extend(b"\\n"),
                '\r' => written.extend(b"\\r"),
                '\t' => written.extend(b"\\t"),
                '\0'..='\u{1f}' => self.write_code(character, &mut written),
                _ => written.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        written
    }

    fn write_code(&self, character: char, written: &mut Vec<u8>) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            written.extend(b"\\u");
            for byte in unit.to_be_bytes() {
                written.extend(pair(byte, self.digits));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(secret: &str, public: usize) -> Vec<(Form, String, usize)> {
        all(secret, public)
            .into_iter()
            .map(|written| {
                let text = String::from_utf8(written.bytes.to_vec()).unwrap();
                (written.form, text, written.public)
            })
            .collect()
    }

    #[track_caller]
    fn assert_has(secret: &str, form: Form, text: &str) {
        let all = written(secret, 0);
        assert!(all.iter().any(|(f, t, _)| *f == form && t == text), "{text} is not in {all:?}");
    }

    #[test]
    fn percent_forms_are_those_of_common_encoders() {
        let secret = "a/b+c=d e~f*g";
        assert_has(secret, Form::Percent, "%61%2F%62%2B%63%3D%64%20%65%7E%66%2A%67");
        assert_has(secret, Form::Percent, "%61%2f%62%2b%63%3d%64%20%65%7e%66%2a%67");
        assert_has(secret, Form::Percent, "a%2Fb%2Bc%3Dd%20e~f%2Ag");
        assert_has(secret, Form::Percent, "a%2Fb%2Bc%3Dd%20e~f*g");
        assert_has(secret, Form::Percent, "a%2fb%2bc%3dd+e%7ef*g");
        assert_has(secret, Form::Percent, "a/b%2Bc%3Dd%20e~f%2Ag");
        assert_has(secret, Form::Percent, "a/b+c=d%20e~f*g");
    }

    #[test]
    fn json_forms_are_those_of_common_serialisers() {
        let secret = "a/\"b\\<+\n\u{e9}\u{1f511}\u{1}";
        assert_has(secret, Form::Json, "a/\\\"b\\\\<+\\n\u{e9}\u{1f511}\\u0001");
        assert_has(secret, Form::Json, "a\\/\\\"b\\\\<+\\n\\u00e9\\ud83d\\udd11\\u0001");
        assert_has(secret, Form::Json, "a/\\\"b\\\\\\u003c+\\n\u{e9}\u{1f511}\\u0001");
        assert_has(
            secret,
            Form::Json,
            "a/\\u0022b\\\\\\u003C\\u002B\\n\\u00E9\\uD83D\\uDD11\\u0001",
        );
        assert_has("a/", Form::Json, "\\u0061\\u002f");
        assert_has("a/", Form::Json, "\\u0061\\u002F");
    }

    #[test]
    fn base64_forms_do_not_depend_on_neighbours() {
        let secret = "s3cr3t>?>?~~\u{ff}";
        let base64: Vec<String> = written(secret, 0)
            .into_iter()
            .filter(|(form, ..)| *form == Form::Base64)
            .map(|(_, text, _)| text)
            .collect();
        for before in ["", "u", "us", "user:", "\u{7f}\u{7f}"] {
            for after in ["", "\0", "~~", "abc"] {
                let around = format!("{before}{secret}{after}");
                for encoded in [STANDARD_NO_PAD.encode(&around), URL_SAFE_NO_PAD.encode(&around)] {
                    let found = base64.iter().filter(|text| encoded.contains(*text)).count();
                    assert_eq!(found, 1, "{around:?} is {encoded}, patterns {base64:?}");
                }
            }
        }
    }

    #[test]
    fn the_public_part_is_what_the_prefix_alone_determines() {
        for (form, text, public) in written("ghp_0123456789", 4) {
            let hidden: Vec<_> = written("ghp_~~~~~~~~~~", 4)
                .into_iter()
                .filter(|(f, t, p)| *f == form && *p == public && t[..*p] == text[..public])
                .collect();
            assert!(!hidden.is_empty(), "{form} {text} {public}");
            if form == Form::Exact {
                assert_eq!(public, 4);
            }
        }
    }
}
