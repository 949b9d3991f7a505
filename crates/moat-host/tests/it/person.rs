//! The person at the terminal.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use moat_provider_testkit::Canary;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::pty::{Ended, PROMPT, Person, example};

fn answer(ended: &Ended) -> &str {
    assert!(ended.success, "{ended:?}");
    ended.printed.strip_prefix("answer: ").unwrap().strip_suffix('\n').unwrap()
}

fn failed(ended: &Ended, kind: &str) {
    assert!(!ended.success, "{ended:?}");
    assert!(ended.printed.starts_with(&format!("{kind}: ")), "{ended:?}");
}

#[test]
fn a_secret_is_not_seen() {
    let secret = Canary::with_length("", 4096);
    let mut person = Person::sits_at(&["secret", "Token"]);
    person.sees("Token: ").types(&format!("  {} \r", secret.text())).sees("\n");
    let ended = person.ends();
    assert_eq!(answer(&ended), secret.text());
    assert_eq!(secret.find_in_str(&ended.screen), None);
}

#[test]
fn a_secret_that_is_longer_than_a_line_of_the_kernel_is_whole() {
    let secret = "0123456789abcdef".repeat(1024);
    let mut person = Person::sits_at(&["secret", "Key"]);
    person.sees("Key: ");
    for part in secret.as_bytes().chunks(1024) {
        person.types(std::str::from_utf8(part).unwrap());
    }
    person.types("\r");
    assert_eq!(answer(&person.ends()), secret);
}

#[test]
fn a_pasted_secret_is_joined() {
    let mut person = Person::sits_at(&["secret", "Token"]);
    person.sees("\x1b[?2004h").sees("Token: ").types("\x1b[200~abc\rdef\r\x1b[201~\r");
    person.sees("\x1b[?2004l");
    assert_eq!(answer(&person.ends()), "abcdef");
}

#[test]
fn what_was_pasted_behind_a_secret_is_not_left_to_the_shell() {
    let mut person = Person::start("dumb", &["--session"], &["--exec", "sh", "-i"]);
    let command = format!("'{}' secret Token\r", example().display());
    person.sees(PROMPT).types(&command).sees("Token: ");
    person.types("abc\recho left$((1 + 1)) >&2\r").sees(PROMPT);
    person.types("echo next$((1 + 1)) >&2\r").sees("next2").sees(PROMPT).types("exit\r");
    let ended = person.ends();
    assert_eq!(ended.printed, "answer: abc\n");
    assert!(!ended.screen.contains("left"), "{ended:?}");
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequences() {
    let mut person = Person::start("dumb", &["--session"], &["secret", "Token"]);
    person.sees("Token: ").types("abc\r");
    let ended = person.ends();
    assert_eq!(answer(&ended), "abc");
    assert!(!ended.screen.contains('\x1b'), "{ended:?}");
}

#[test]
fn a_line_is_seen_and_edited() {
    let mut person = Person::sits_at(&["ask", "Name?"]);
    person.sees("Name? ").types("caf\u{e9}x").sees("caf\u{e9}x").types("\x7f!\r");
    assert_eq!(answer(&person.ends()), "caf\u{e9}!");
}

#[test]
fn ctrl_c_and_the_end_of_input_cancel() {
    for (what, keys) in
        [("ask", "ab\x03"), ("secret", "ab\x03"), ("secret", "\x04"), ("ask", "\x04")]
    {
        let mut person = Person::sits_at(&[what, "It"]);
        person.sees("It: ").types(keys);
        failed(&person.ends(), "Cancelled");
    }
}

#[test]
fn a_yes_is_a_yes() {
    for (keys, expected) in [("y\r", "Yes"), ("NO\r", "No"), ("\r", "No"), ("Yes\r", "Yes")] {
        let mut person = Person::sits_at(&["confirm", "Sure?"]);
        person.sees("Sure? [y/N] ").types(keys);
        assert_eq!(answer(&person.ends()), expected);
    }
    let mut person = Person::sits_at(&["confirm", "Sure?"]);
    person.sees("Sure? ").types("perhaps\r").sees("y or n [y/N] ").types("y\r");
    assert_eq!(answer(&person.ends()), "Yes");
}

#[test]
fn a_choice_is_a_number() {
    for (keys, expected) in [("2\r", "1"), ("\r", "0")] {
        let mut person = Person::sits_at(&["choose", "Which?", "one", "t\u{1b}wo"]);
        person.sees("Which?\r\n  1) one\r\n  2) t\\u{1b}wo\r\nNumber [1]: ").types(keys);
        assert_eq!(answer(&person.ends()), expected);
    }
    let mut person = Person::sits_at(&["choose", "Which?", "one", "two"]);
    person.sees("[1]: ");
    for odd in ["0\r", "3\r", "two\r", "-1\r"] {
        person.types(odd).sees("A number from 1 to 2 [1]: ");
    }
    person.types("1\r");
    assert_eq!(answer(&person.ends()), "0");
}

#[test]
fn text_is_shown_escaped() {
    let mut person = Person::sits_at(&["tell", "one\n\u{1b}]0;title\u{7}\u{202e}two"]);
    person.sees("one\r\n\\u{1b}]0;title\\u{7}\\u{202e}two\r\n");
    let ended = person.ends();
    assert!(!ended.screen.contains(['\x1b', '\x07', '\u{202e}']), "{ended:?}");
    let mut person = Person::sits_at(&["ask", "a\nb\u{9b}c"]);
    person.sees("a\\nb\\u{9b}c: ").types("\r");
    assert_eq!(answer(&person.ends()), "");
}

/// A question that ends when the person opens a named pipe.
fn ended_by(option: &str) -> Ended {
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let options = ["--session", option, fifo.to_str().unwrap()];
    let mut person = Person::start("xterm", &options, &["secret", "Token"]);
    person.sees("Token: ").types("half of it");
    fs::write(&fifo, "now").unwrap();
    person.ends()
}

#[test]
fn a_question_that_is_dropped_leaves_the_terminal_as_it_was() {
    assert_eq!(answer(&ended_by("--until")), "dropped");
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    let ended = ended_by("--panic");
    assert!(!ended.success);
    assert!(ended.screen.contains("\x1b[?2004l"), "{ended:?}");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was_and_ends_the_process() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        for what in ["secret", "ask"] {
            let mut person = Person::sits_at(&[what, "Token"]);
            person.sees("\x1b[?2004h").sees("Token: ").types("half of it").sends(signal);
            person.sees("\x1b[?2004l");
            let ended = person.ends();
            assert_eq!(ended.signal, Some(signal as i32), "{ended:?}");
            assert_eq!(ended.printed, "");
        }
    }
}

#[test]
fn a_signal_after_a_question_ends_the_process_at_once() {
    let mut person = Person::start("xterm", &["--session", "--end"], &["ask", "Name"]);
    person.sees("Name: ").types("abc\r");
    let ended = person.ends();
    assert_eq!((ended.signal, &*ended.printed), (Some(Signal::SIGTERM as i32), ""), "{ended:?}");
}

#[test]
fn a_signal_that_the_program_handles_ends_the_question_alone() {
    let mut person = Person::start("xterm", &["--session", "--release"], &["secret", "Token"]);
    person.sees("Token: ").types("half of it").sends(Signal::SIGTERM);
    person.sees("\x1b[?2004l");
    let ended = person.ends();
    assert_eq!(ended.signal, None, "{ended:?}");
    assert!(ended.printed.starts_with("heard\nCancelled: "), "{ended:?}");
}

#[test]
fn without_a_terminal_of_its_own_nobody_is_asked() {
    for options in [&["--no-terminal"][..], &["--session", "--background"]] {
        for what in ["ask", "secret", "confirm", "choose"] {
            let ended = Person::start(
                "xterm",
                options,
                &[what, "It", "x"][..if what == "choose" { 3 } else { 2 }],
            )
            .ends();
            failed(&ended, "NotInteractive");
            assert!(ended.printed.contains("--token-stdin"), "{ended:?}");
            assert!(!ended.screen.contains("It"), "{ended:?}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process without a terminal is what is tested")]
fn a_pipe_is_not_asked_and_not_read() {
    for args in [&["secret", "Token"][..], &["ask", "Name"], &["run", "sh", "-c", "cat"]] {
        // The pipe stays open and empty: whoever reads from it waits for ever.
        let mut child = Command::new(example());
        child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.starts_with("NotInteractive: there is nobody to ask"), "{printed}");
        drop(stdin);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process without a terminal is what is tested")]
fn text_is_told_on_standard_error_where_there_is_no_terminal() {
    let mut child = Command::new(example());
    let output = child.args(["tell", "guid\u{1b}ance"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "guid\\u{1b}ance\n");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process without a terminal is what is tested")]
fn a_secret_comes_through_a_pipe() {
    let secret = Canary::with_length("", 64);
    let mut child = Command::new(example());
    child.arg("token-stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!(" {}\n", secret.text()).as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, format!("answer: {}\n", secret.text()).as_bytes());

    let ended = Person::sits_at(&["token-stdin"]).ends();
    failed(&ended, "InvalidInput");
}

#[test]
fn a_program_has_the_terminal_and_gives_it_back() {
    let mut person =
        Person::sits_at(&["run", "sh", "-c", "printf 'in? ' >&2; read x; stty -echo; exit $x"]);
    person.sees("in? ").types("7\r").sees("After it: ").types("next\r");
    assert_eq!(answer(&person.ends()), "Some(7), then next");
}

#[test]
fn ctrl_c_ends_the_program_and_not_this_process() {
    // Not a shell: some lose an interrupt that comes while they start a program.
    let mut person = Person::sits_at(&["run", "tee", "/dev/stderr"]);
    // Once by the terminal, once by the program: who reads is in the foreground.
    person.types("up\r").sees("up\r\nup\r\n").types("\x03").sees("After it: ").types("next\r");
    assert_eq!(person.ends().printed, "up\nanswer: None, then next\n");
}

#[test]
fn a_stop_where_no_shell_could_resume_has_no_effect() {
    let mut person = Person::sits_at(&["run", "sh", "-c", "read x; echo up >&2; read x; exit $x"]);
    person
        .types("\r")
        .sees("up")
        .types("\x1a")
        .sees("^Z")
        .types("5\r")
        .sees("After it: ")
        .types("next\r");
    assert_eq!(answer(&person.ends()), "Some(5), then next");
}

#[test]
fn a_program_is_stopped_and_resumed_by_the_shell() {
    let mut person = Person::start("dumb", &["--session"], &["--exec", "sh", "-i"]);
    let command = format!("'{}' run tee /dev/stderr\r", example().display());
    person.sees(PROMPT).types(&command);
    person.types("one\r").sees("one\r\none\r\n").types("\x1a").sees("topped").sees(PROMPT);
    // What the shell computes is not what was typed.
    person.types("echo shell$((1 + 1)) >&2\r").sees("shell2").sees(PROMPT).types("fg\r");
    person.sees("fg\r\n").types("two\r").sees("two\r\ntwo\r\n").types("\x04");
    person.sees("After it: ").types("next\r").sees(PROMPT).types("exit\r");
    let ended = person.ends();
    // In between, some shells say what they resume.
    assert!(ended.printed.starts_with("one\n"), "{ended:?}");
    assert!(ended.printed.ends_with("two\nanswer: Some(0), then next\n"), "{ended:?}");
}

#[test]
fn a_program_whose_future_is_dropped_ends() {
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let options = ["--session", "--until", fifo.to_str().unwrap()];
    let args = ["run", "sh", "-c", "stty -echo; echo up >&2; sleep 1000"];
    let mut person = Person::start("xterm", &options, &args);
    person.sees("up");
    fs::write(&fifo, "now").unwrap();
    assert_eq!(answer(&person.ends()), "dropped");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let ended = Person::sits_at(&["run", "no-such-program"]).ends();
    failed(&ended, "CommandNotFound");
    assert!(ended.printed.contains("no-such-program is not installed"), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_starts_with_no_signal_blocked() {
    let mut person = Person::sits_at(&["run", "grep", "SigBlk", "/proc/self/status"]);
    person.sees("After it: ").types("next\r");
    let ended = person.ends();
    assert!(ended.printed.contains("SigBlk:\t0000000000000000\n"), "{ended:?}");
}
