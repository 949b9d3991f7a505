//! Foreign text on its way to a terminal (law L18): escaped by core, bounded here.

use moat_provider_core::escape_line;

/// The most characters of one foreign text that are shown.
const LONGEST: usize = 2000;

/// Makes text fit for one line of a terminal.
pub(crate) fn line(text: &str) -> String {
    clipped(text, LONGEST)
}

/// Makes text of several lines fit for a terminal: as [`line`], but line breaks stay.
pub(crate) fn lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n")
}

/// Makes text fit for a column of at most `width` characters before it is escaped.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) => format!("{}…", escape_line(&text[..end])),
        None => escape_line(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_upon_is_left() {
        let hostile = "a\u{1b}]0;x\u{7}\u{202e}b\nc\u{9b}2J";
        assert_eq!(line(hostile), r"a\u{1b}]0;x\u{7}\u{202e}b\nc\u{9b}2J");
        assert_eq!(lines("one\ntwo\r"), "one\ntwo\\r");
    }

    #[test]
    fn what_is_too_long_is_cut_and_no_escape_in_halves() {
        assert_eq!(clipped("abcdef", 3), "abc…");
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("ab\u{1b}c", 3), "ab\\u{1b}…");
        assert_eq!(line(&"x".repeat(5000)).chars().count(), LONGEST + 1);
    }
}
