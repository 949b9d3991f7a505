//! A line as it is typed or pasted.

use std::fmt;

use moat_provider_core::{Error, Result, Secret, escape_line};
use zeroize::{Zeroize, Zeroizing};

/// The longest answer. Keys of service accounts have a few kilobytes.
const MAX_LINE: usize = 64 * 1024;

/// Whether what is typed is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Shown,
    Hidden,
}

/// What a byte did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Done,
    Cancelled,
}

/// A line in the making: it takes the bytes of a terminal one by one.
///
/// Keys that edit are Backspace, Ctrl-U and Ctrl-W; Ctrl-C, Ctrl-\ and, in an empty line, Ctrl-D
/// cancel. Sequences that begin with Escape, as cursor keys send them, have no effect, but for the
/// two that lie around a paste: within it a line break does not end the line. In what is hidden it
/// is left out, since a token that was wrapped by a terminal or a mail is still one token; in what
/// is shown it becomes a space.
pub(super) struct Line {
    bytes: Zeroizing<Vec<u8>>,
    echo: Echo,
    state: State,
    paste: Paste,
    overflow: bool,
}

enum State {
    Text,
    /// Behind ESC.
    Escape,
    /// Behind ESC `[`, with the parameters so far (ECMA-48, section 5.4).
    Control(Vec<u8>),
    /// Behind ESC `O`.
    Function,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paste {
    Inside,
    Outside,
}

impl Line {
    pub(super) fn new(echo: Echo) -> Self {
        Self {
            // It never grows: a copy that is left behind would not be wiped.
            bytes: Zeroizing::new(Vec::with_capacity(MAX_LINE)),
            echo,
            state: State::Text,
            paste: Paste::Outside,
            overflow: false,
        }
    }

    /// Takes a byte; `shown` gets what the terminal has to print for it.
    pub(super) fn feed(&mut self, byte: u8, shown: &mut String) -> Step {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.text(byte, shown),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Control(Vec::new()),
                    b'O' => State::Function,
                    0x1b => State::Escape,
                    // A key with Alt.
                    _ => State::Text,
                };
                self.cancels(byte)
            }
            State::Control(mut parameters) => {
                match (byte, &parameters[..]) {
                    (b'~', b"200") => self.paste = Paste::Inside,
                    (b'~', b"201") => self.paste = Paste::Outside,
                    (b' '..=b'?', _) if parameters.len() < 16 => {
                        parameters.push(byte);
                        self.state = State::Control(parameters);
                    }
                    _ => {}
                }
                self.cancels(byte)
            }
            State::Function => self.cancels(byte),
        }
    }

    /// Ctrl-C counts also within a sequence: the person wants out.
    fn cancels(&self, byte: u8) -> Step {
        if matches!(byte, 0x03 | 0x1c) { Step::Cancelled } else { Step::More }
    }

    fn text(&mut self, byte: u8, shown: &mut String) -> Step {
        match byte {
            b'\r' | b'\n' if self.paste == Paste::Outside => return Step::Done,
            b'\r' | b'\n' | b'\t' => {
                if self.echo == Echo::Shown {
                    self.push(b' ', shown);
                }
            }
            0x03 | 0x1c => return Step::Cancelled,
            0x04 if self.bytes.is_empty() => return Step::Cancelled,
            0x08 | 0x7f => self.erase(shown),
            0x15 => {
                while !self.bytes.is_empty() {
                    self.erase(shown);
                }
            }
            0x17 => self.erase_word(shown),
            0x1b => self.state = State::Escape,
            0x00..=0x1f => {}
            _ => self.push(byte, shown),
        }
        Step::More
    }

    fn push(&mut self, byte: u8, shown: &mut String) {
        if self.bytes.len() == MAX_LINE {
            self.overflow = true;
            return;
        }
        self.bytes.push(byte);
        if self.echo == Echo::Shown
            && let Some(character) = self.last_character()
        {
            shown.push_str(&escape_line(&character.to_string()));
        }
    }

    /// Returns the last character, when it is complete.
    fn last_character(&self) -> Option<char> {
        let start = self.last_start()?;
        std::str::from_utf8(&self.bytes[start..]).ok()?.chars().next()
    }

    /// Returns where the last character begins, which may not be complete or valid.
    fn last_start(&self) -> Option<usize> {
        let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        self.bytes.iter().rposition(|byte| !continues(byte)).or(self.bytes.len().checked_sub(1))
    }

    fn erase(&mut self, shown: &mut String) {
        let Some(start) = self.last_start() else { return };
        if self.echo == Echo::Shown {
            let columns = self
                .last_character()
                .map_or(0, |last| escape_line(&last.to_string()).chars().count());
            (0..columns).for_each(|_| shown.push_str("\x08 \x08"));
        }
        self.bytes[start..].zeroize();
        self.bytes.truncate(start);
    }

    fn erase_word(&mut self, shown: &mut String) {
        while self.bytes.last() == Some(&b' ') {
            self.erase(shown);
        }
        while self.bytes.last().is_some_and(|&byte| byte != b' ') {
            self.erase(shown);
        }
    }

    /// Returns the line, without white space around it.
    ///
    /// # Errors
    ///
    /// When it is too long, or not UTF-8.
    pub(super) fn finish(self) -> Result<Secret> {
        if self.overflow {
            return Err(Error::invalid("the answer is longer than 64 KiB")
                .with_hint("pass it from a file: --token-stdin < FILE"));
        }
        let line = Secret::from_utf8(self.bytes.as_slice().to_vec()).map_err(|_| {
            Error::invalid("the answer is not UTF-8 text").with_hint("type it again")
        })?;
        Ok(line.trimmed())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("echo", &self.echo).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at what was typed")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Types until the line ends; returns how it ended, the line, and what was shown.
    fn typed(echo: Echo, bytes: &[u8]) -> (Step, String, String) {
        let (mut line, mut shown) = (Line::new(echo), String::new());
        let step =
            bytes.iter().map(|&byte| line.feed(byte, &mut shown)).find(|&step| step != Step::More);
        let text =
            line.finish().map_or_else(|error| error.to_string(), |line| line.expose().to_owned());
        (step.unwrap_or(Step::More), text, shown)
    }

    fn done(echo: Echo, bytes: &[u8]) -> String {
        let (step, text, _) = typed(echo, bytes);
        assert_eq!(step, Step::Done);
        text
    }

    #[test]
    fn a_line_ends_with_enter() {
        assert_eq!(typed(Echo::Shown, b" abc \r"), (Step::Done, "abc".into(), " abc ".into()));
        assert_eq!(typed(Echo::Hidden, b"abc\n"), (Step::Done, "abc".into(), String::new()));
        assert_eq!(typed(Echo::Hidden, b"abc").0, Step::More);
    }

    #[test]
    fn keys_edit() {
        assert_eq!(
            typed(Echo::Shown, b"ax\x7fb\n"),
            (Step::Done, "ab".into(), "ax\x08 \x08b".into())
        );
        assert_eq!(done(Echo::Hidden, "aé\u{8}b\n".as_bytes()), "ab");
        assert_eq!(done(Echo::Hidden, b"\x7f\x08abc\x15de\n"), "de");
        assert_eq!(done(Echo::Shown, b"one two  \x17x\n"), "one x");
        assert_eq!(done(Echo::Shown, b"a\x1b[D\x1bOA\x1b[3~\x1b[1;5Cb\x1bxc\x04\x1a\n"), "abc");
        assert_eq!(done(Echo::Hidden, b"\xffab\n"), "the answer is not UTF-8 text");
    }

    #[test]
    fn keys_cancel() {
        for bytes in [
            &b"abc\x03"[..],
            b"\x04",
            b"a\x7f\x04",
            b"\x1c",
            b"\x1b[\x03",
            b"\x1b\x03",
            b"\x1bO\x03",
        ] {
            assert_eq!(typed(Echo::Hidden, bytes).0, Step::Cancelled, "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_that_was_wrapped_is_one_answer() {
        let pasted = b"\x1b[200~abc\r\ndef\nghi\r\x1b[201~\r";
        assert_eq!(done(Echo::Hidden, pasted), "abcdefghi");
        assert_eq!(done(Echo::Shown, b"\x1b[200~a\nb\x1b[201~c\r"), "a bc");
        assert_eq!(typed(Echo::Hidden, b"\x1b[200~abc\n").0, Step::More);
    }

    #[test]
    fn what_a_terminal_would_act_upon_is_shown_escaped() {
        assert_eq!(typed(Echo::Shown, "é\u{202e}\u{9b}\n".as_bytes()).2, "é\\u{202e}\\u{9b}");
    }

    #[test]
    fn an_answer_without_end_is_refused() {
        let mut bytes = vec![b'x'; MAX_LINE + 1];
        bytes.push(b'\n');
        assert_eq!(done(Echo::Hidden, &bytes), "the answer is longer than 64 KiB");
        assert_eq!(done(Echo::Hidden, &bytes[1..]).len(), MAX_LINE);
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_shown_and_nothing_shown_acts(bytes: Vec<u8>) {
            prop_assert_eq!(typed(Echo::Hidden, &bytes).2, "");
            let shown = typed(Echo::Shown, &bytes).2.replace("\x08 \x08", "");
            prop_assert_eq!(escape_line(&shown), shown.as_str());
        }
    }
}
