//! How text prints: newtypes around it, and what others wrote.

use std::borrow::Cow;

/// Makes text fit for one line of a person's terminal (law L18): whatever a terminal acts upon, and
/// whatever a person cannot see, becomes an escape such as `\u{1b}`.
///
/// That covers control characters, and so every OSC and CSI sequence, line and paragraph
/// separators, bidirectional overrides, zero-width characters and everything else that Rust's own
/// `Debug` does not print. Letters of any script, accents, quotes and backslashes stay: the result
/// is for reading, not for parsing, and to escape it again changes nothing.
///
/// ```
/// use moat_provider_core::escape_line;
///
/// assert_eq!(escape_line("Zoë's \"key\""), "Zoë's \"key\"");
/// assert_eq!(escape_line("ok\u{1b}]0;x\u{7}\nfine\u{202e}"), r"ok\u{1b}]0;x\u{7}\nfine\u{202e}");
/// ```
#[must_use]
pub fn escape_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Makes text of several lines fit for a person's terminal: as [`escape_line`], but line breaks stay.
///
/// ```
/// use moat_provider_core::escape_lines;
///
/// assert_eq!(escape_lines("one\ntwo\r\u{9b}2J"), "one\ntwo\\r\\u{9b}2J");
/// ```
#[must_use]
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| character == '\n')
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmless = |character| stays(character) || is_shown(character);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if harmless(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_debug());
        }
    }
    Cow::Owned(escaped)
}

/// Whether a terminal prints a character and does nothing else.
fn is_shown(character: char) -> bool {
    // Alone, a mark such as an accent is escaped by `Debug`; behind a letter it is not.
    let mut pair = [b'a'; 5];
    let end = 1 + character.encode_utf8(&mut pair[1..]).len();
    matches!(character, ' '..='~')
        || std::str::from_utf8(&pair[..end])
            .is_ok_and(|pair| pair.escape_debug().nth(1) == Some(character))
}

/// Prints a newtype as the text in its only field, and quoted in `Debug`.
macro_rules! print_as_text {
    ($name:ident) => {
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

pub(crate) use print_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_script_stays_as_it_is() {
        for text in
            ["", "plain", "it's \"so\" \\ ~", "Zoe\u{308} Müller", "日本語", "हिन्दी", "עברית"]
        {
            assert!(matches!(escape_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_acts_upon_is_escaped() {
        let acts = ('\0'..=' ').chain('\u{7f}'..='\u{a0}').filter(|&character| character != ' ');
        let hidden = "\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\
                      \u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0001}\u{e007f}";
        for character in acts.chain(hidden.chars()) {
            let text = format!("a{character}b");
            let escaped = escape_line(&text);
            assert!(escaped.starts_with("a\\") && escaped.ends_with('b'), "{escaped:?}");
            assert!(escaped.chars().all(is_shown), "{escaped:?}");
        }
    }

    #[test]
    fn only_line_breaks_stay_in_text_of_several_lines() {
        assert_eq!(escape_lines("a\n\tb\r\n"), "a\n\\tb\\r\n");
        assert_eq!(escape_line("a\nb"), "a\\nb");
    }
}
