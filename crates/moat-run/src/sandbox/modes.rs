//! What a program has switched on in a terminal, and may leave on when it is killed.

/// Modes that whoever comes next cannot work with: cursor keys, reports of the mouse and of the focus,
/// brackets around what is pasted, output that is held back, and the other screen, which is left last
/// (xterm's control sequences, "DECSET"; synchronized output).
const MODES: [u16; 17] =
    [1, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2004, 2026, 47, 1047, 1049];
/// The cursor, which is on.
const CURSOR: u16 = 25;

/// The longest sequence that is understood, in bytes; none that is meant here comes near.
const LONGEST: usize = 64;

/// Follows what a program writes to a terminal.
#[derive(Debug, Default)]
pub(super) struct Modes {
    state: State,
    sequence: Vec<u8>,
    set: Vec<u16>,
    is_cursor_hidden: bool,
    has_keypad: bool,
    has_key_codes: bool,
    /// How deep the stack of the keyboard protocol is (Kitty's).
    keyboards: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// Behind a control sequence introducer (ECMA-48, section 5.4).
    Sequence,
}

impl Modes {
    /// Reads the next part of what was written.
    pub(super) fn see(&mut self, written: &[u8]) {
        for byte in written {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Escape, b'[') => {
                    self.sequence.clear();
                    State::Sequence
                }
                (State::Escape, byte) => {
                    self.escape(*byte);
                    State::Ground
                }
                (State::Sequence, 0x20..=0x3f) if self.sequence.len() < LONGEST => {
                    self.sequence.push(*byte);
                    State::Sequence
                }
                (State::Sequence, 0x40..=0x7e) => {
                    self.sequence(*byte);
                    State::Ground
                }
                _ => State::Ground,
            };
        }
    }

    /// Returns what switches off all that is still on.
    pub(super) fn undo(&self) -> String {
        let mut undo = String::new();
        if self.keyboards > 0 {
            undo.push_str(&format!("\x1b[<{}u", self.keyboards));
        }
        if self.has_key_codes {
            undo.push_str("\x1b[>4m");
        }
        if self.has_keypad {
            undo.push_str("\x1b>");
        }
        for mode in MODES.iter().filter(|mode| self.set.contains(mode)) {
            undo.push_str(&format!("\x1b[?{mode}l"));
        }
        if self.is_cursor_hidden {
            undo.push_str("\x1b[?25h");
        }
        undo
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'=' => self.has_keypad = true,
            b'>' => self.has_keypad = false,
            // The terminal begins anew.
            b'c' => *self = Self::default(),
            _ => {}
        }
    }

    fn sequence(&mut self, last: u8) {
        let Some((kind, parameters)) = self.sequence.split_first() else { return };
        let Ok(parameters) = std::str::from_utf8(parameters) else { return };
        let mut parameters = parameters.split(';').map(|number| number.parse::<u16>().ok());
        match (kind, last) {
            (b'?', b'h') => {
                for mode in parameters.flatten() {
                    self.is_cursor_hidden &= mode != CURSOR;
                    if MODES.contains(&mode) && !self.set.contains(&mode) {
                        self.set.push(mode);
                    }
                }
            }
            (b'?', b'l') => {
                for mode in parameters.flatten() {
                    self.is_cursor_hidden |= mode == CURSOR;
                    self.set.retain(|set| *set != mode);
                }
            }
            (b'>', b'm') if parameters.next() == Some(Some(4)) => {
                self.has_key_codes = parameters.next().flatten().is_some_and(|level| level > 0);
            }
            (b'>', b'u') => self.keyboards = self.keyboards.saturating_add(1),
            (b'<', b'u') => {
                let count = parameters.next().flatten().unwrap_or(1);
                self.keyboards = self.keyboards.saturating_sub(count);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_on(written: &str) -> String {
        let mut modes = Modes::default();
        // However it is cut.
        written.as_bytes().iter().for_each(|byte| modes.see(&[*byte]));
        let mut whole = Modes::default();
        whole.see(written.as_bytes());
        let undo = modes.undo();
        assert_eq!(whole.undo(), undo);
        modes.see(undo.as_bytes());
        assert_eq!(modes.undo(), "", "what was left on is off");
        undo
    }

    #[test]
    fn what_was_left_on_is_switched_off() {
        for (written, undo) in [
            ("\x1b[?1049h\x1b[?25l\x1b[?2004;1002h", "\x1b[?1002l\x1b[?2004l\x1b[?1049l\x1b[?25h"),
            ("\x1b[>7u\x1b[>1u", "\x1b[<2u"),
            ("\x1b[>4;2m\x1b=", "\x1b[>4m\x1b>"),
        ] {
            assert_eq!(left_on(written), undo);
        }
    }

    #[test]
    fn a_program_that_cleans_up_leaves_nothing() {
        for written in [
            "\x1b[?1049h\x1b[?25lwords\x1b[?25h\x1b[?1049l",
            "\x1b[>1u\x1b[<u\x1b[>4;1m\x1b[>4;0m\x1b=\x1b>",
            "\x1b[?1049h\x1b[?1000h\x1bc",
            "\x1b[1;31m\x1b[2J\x1b]0;\x1b[?title\x07\x1b[?7h\x1b[?u",
        ] {
            assert_eq!(left_on(written), "");
        }
    }

    #[test]
    fn what_is_no_sequence_is_passed_over() {
        assert_eq!(left_on(&format!("\x1b[?{}1049h", "0;".repeat(LONGEST))), "");
        assert_eq!(left_on("\x1b[?10\x1b[?25l"), "\x1b[?25h");
    }
}
