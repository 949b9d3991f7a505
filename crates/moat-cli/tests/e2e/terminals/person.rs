//! A person in front of a terminal: what they type, and what is on the screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::Child;
use tokio::sync::watch;
use vt100::{Callbacks, MouseProtocolMode, Parser, Screen};

use crate::machine::Machine;
use crate::program::Program;

/// How long it may take until something appears.
const LIMIT: Duration = Duration::from_secs(90);

/// How long a person waits before they try again.
const STEP: Duration = Duration::from_secs(2);

/// How often they do.
const TRIES: usize = 30;

/// The size at the start, as rows and columns.
const SIZE: (u16, u16) = (40, 110);

pub(crate) const ENTER: &str = "\r";
pub(crate) const ESCAPE: &str = "\x1b";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
const CTRL_U: &str = "\x15";
pub(crate) const CTRL_Z: &str = "\x1a";

/// A person, and the program on their terminal.
pub(crate) struct Person {
    child: Child,
    keys: File,
    program_end: OwnedFd,
    seen: Arc<Mutex<Seen>>,
    changes: watch::Receiver<()>,
    reader: thread::JoinHandle<()>,
}

/// What has appeared so far.
struct Seen {
    emulator: Parser<Answers>,
    everything: Vec<u8>,
}

/// What a terminal says when it is asked.
struct Answers {
    keys: File,
    /// How many times the Kitty keyboard protocol was switched on and not off again.
    keyboards: usize,
}

impl Person {
    /// Starts the command on a terminal.
    pub(crate) fn start(machine: &Machine, words: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let controller = controller.unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let program_end = open(&*name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&program_end, winsize(SIZE)).unwrap();

        let session = Program::new("setsid").args(["--ctty", "--wait"]);
        let session = session.arg(env!("CARGO_BIN_EXE_moat")).args(words);
        let session = machine.with_state(session).env("TERM", "xterm-256color");
        let child = session.on(&program_end);

        let keys = File::from(controller);
        let answers = Answers { keys: keys.try_clone().unwrap(), keyboards: 0 };
        let (rows, columns) = SIZE;
        let emulator = Parser::new_with_callbacks(nonzero(rows), nonzero(columns), 0, answers);
        let seen = Arc::new(Mutex::new(Seen { emulator, everything: Vec::new() }));
        let (changed, changes) = watch::channel(());
        let (mut output, shown) = (keys.try_clone().unwrap(), Arc::clone(&seen));
        let reader = thread::spawn(move || {
            let mut buffer = [0; 32 * 1024];
            // A terminal whose other end is closed fails instead of ending.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let mut seen = shown.lock().unwrap();
                seen.everything.extend(&buffer[..length]);
                seen.emulator.process(&buffer[..length]);
                changed.send_replace(());
            }
        });
        Self { child, keys, program_end, seen, changes, reader }
    }

    /// Presses keys, of which a program sees each by itself.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub(crate) fn resizes(&mut self, rows: u16, columns: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.emulator.set_size(nonzero(rows), nonzero(columns));
        tcsetwinsize(&self.program_end, winsize((rows, columns))).unwrap();
    }

    /// Types a line. A program that has just come back may have thrown away what was typed before; then
    /// the person empties the line and begins anew.
    pub(crate) async fn writes(&mut self, line: &str) {
        for _ in 0..TRIES {
            self.types(line);
            if self.comes(STEP, |screen| shows(screen, line)).await {
                return;
            }
            self.types(CTRL_U);
        }
        panic!("{line:?} cannot be typed:\n{}", self.screen());
    }

    /// Says a line until the answer stands on the screen.
    pub(crate) async fn repeats(&mut self, line: &str, answer: &str) {
        for _ in 0..TRIES {
            self.writes(line).await;
            self.types(ENTER);
            if self.comes(STEP, |screen| shows(screen, answer)).await {
                return;
            }
        }
        panic!("{answer:?} does not come:\n{}", self.screen());
    }

    /// Presses a key until a text stands on the screen: a question that has just appeared may not take
    /// keys yet.
    pub(crate) async fn presses(&mut self, key: &str, text: &str) {
        for _ in 0..TRIES {
            self.types(key);
            if self.comes(STEP, |screen| shows(screen, text)).await {
                return;
            }
        }
        panic!("{text:?} does not come:\n{}", self.screen());
    }

    /// Presses a key that ends the program, and once more where it asks for that.
    pub(crate) async fn quits(&mut self, key: &str, again: &str) {
        for _ in 0..TRIES {
            self.types(key);
            if !again.is_empty() && self.comes(STEP, |screen| shows(screen, again)).await {
                self.types(key);
            }
            if tokio::time::timeout(STEP, self.child.wait()).await.is_ok() {
                return;
            }
        }
        panic!("it does not end:\n{}", self.screen());
    }

    /// Waits until a text stands on the screen.
    pub(crate) async fn sees(&mut self, text: &str) {
        self.waits(text, |screen| shows(screen, text)).await;
    }

    /// Waits until the screen is as it should be.
    pub(crate) async fn waits(&mut self, what: &str, is_so: impl Fn(&Screen) -> bool) {
        assert!(self.comes(LIMIT, is_so).await, "{what:?} does not come:\n{}", self.screen());
    }

    /// Returns whether the screen is in time as it should be.
    async fn comes(&mut self, limit: Duration, is_so: impl Fn(&Screen) -> bool) -> bool {
        let fits = |seen: &Mutex<Seen>| is_so(seen.lock().unwrap().emulator.screen());
        let come = async {
            while !fits(&self.seen) {
                if self.changes.changed().await.is_err() {
                    return fits(&self.seen);
                }
            }
            true
        };
        tokio::time::timeout(limit, come).await.unwrap_or(false)
    }

    /// Returns what stands on the screen.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().emulator.screen().contents()
    }

    /// Waits until the program has ended, and returns its exit code and all that it showed. The
    /// terminal has to be as it was before.
    pub(crate) async fn leaves(mut self) -> (Option<i32>, Vec<u8>) {
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.screen()));
        let modes = tcgetattr(&self.program_end).unwrap().local_modes;
        let cooked = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(modes.contains(cooked), "the terminal is not restored: {modes:?}");
        drop(self.program_end);
        self.reader.join().unwrap();
        let mut seen = self.seen.lock().unwrap();
        let screen = seen.emulator.screen();
        let shown = screen.contents();
        assert!(!screen.alternate_screen(), "the other screen is still there:\n{shown}");
        assert!(!screen.hide_cursor(), "the cursor is hidden:\n{shown}");
        assert!(!screen.bracketed_paste(), "what is pasted is in brackets:\n{shown}");
        assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None, "{shown}");
        assert_eq!(seen.emulator.callbacks().keyboards, 0, "keys have other codes:\n{shown}");
        (ended.unwrap().code(), std::mem::take(&mut seen.everything))
    }
}

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        last: char,
    ) {
        let parameter = parameters.first().and_then(|parameter| parameter.first()).copied();
        let answer = match (first, parameter, last) {
            // Where the cursor is (ECMA-48, DSR and CPR).
            (None, Some(6), 'n') => {
                let (row, column) = screen.cursor_position();
                format!("\x1b[{};{}R", row + 1, column + 1)
            }
            (None, Some(5), 'n') => "\x1b[0n".to_owned(),
            // What kind of terminal it is: a VT220 (xterm's control sequences, DA1).
            (None, _, 'c') => "\x1b[?62;22c".to_owned(),
            // Keyboard protocol of the terminal emulator Kitty.
            (Some(b'?'), _, 'u') => format!("\x1b[?{}u", u8::from(self.keyboards > 0)),
            (Some(b'>'), _, 'u') => {
                self.keyboards += 1;
                return;
            }
            (Some(b'<'), count, 'u') => {
                let count = usize::from(count.unwrap_or(1).max(1));
                self.keyboards = self.keyboards.saturating_sub(count);
                return;
            }
            _ => return,
        };
        _ = self.keys.write_all(answer.as_bytes());
    }

    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        // Light letters on a dark ground (xterm's control sequences, OSC 10 and 11).
        let answer = match parameters {
            [b"10", b"?"] => "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
            [b"11", b"?"] => "\x1b]11;rgb:0000/0000/0000\x1b\\",
            _ => return,
        };
        _ = self.keys.write_all(answer.as_bytes());
    }
}

/// Returns what was shown without the sequences that move and colour it, and without its lines.
pub(crate) fn plain(shown: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(shown.len());
    let mut rest = shown.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => match rest.next() {
                Some(b'[') => {
                    while rest.next().is_some_and(|byte| !(0x40..0x7f).contains(&byte)) {}
                }
                Some(b']' | b'P' | b'_' | b'^') => {
                    while rest.next().is_some_and(|byte| byte != 0x07 && byte != 0x1b) {}
                    rest.next_if_eq(&b'\\');
                }
                _ => {}
            },
            0..0x20 | 0x7f => {}
            _ => plain.push(byte),
        }
    }
    plain
}

/// Whether a text stands on the screen, in one line or in several, with a frame around it or without.
fn shows(screen: &Screen, text: &str) -> bool {
    let is_frame =
        |word: &&str| word.chars().all(|letter| matches!(letter, '\u{2500}'..='\u{259f}'));
    let contents = screen.contents();
    let words: Vec<_> = contents.split_whitespace().filter(|word| !is_frame(word)).collect();
    words.join(" ").contains(text)
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn winsize((ws_row, ws_col): (u16, u16)) -> Winsize {
    Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn what_moves_and_colours_is_left_out() {
    let shown = b"\x1b]0;title\x07a\x1b[1;31mb\x1b[0m\r\nc\x1b]8;;u\x1b\\d\x1bMe";
    assert_eq!(plain(shown), b"abcde");
}
