//! `words`: no file holds a note to oneself, a private path or a package registry's host.

use std::fs;

use crate::process;
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

/// A word that no file may hold. The lists below are put together from pieces, because this file is
/// searched like any other.
struct Word {
    text: &'static str,
    reason: &'static str,
    /// Judges by the characters around a match whether it counts.
    counts: fn(before: Option<char>, after: Option<char>) -> bool,
}

const WORDS: &[Word] = &[
    note(concat!("TO", "DO")),
    note(concat!("FIX", "ME")),
    note(concat!("to", "do!")),
    note(concat!("unimple", "mented!")),
    path(concat!("/", "work/")),
    path(concat!("/", "root/")),
    host(concat!("crates", ".io")),
    host(concat!("npm", "js.org")),
    host(concat!("npm", "js.com")),
    host(concat!("pypi", ".org")),
    host(concat!("python", "hosted.org")),
    host(concat!("debian", ".org")),
];

const fn note(text: &'static str) -> Word {
    let counts = |before, after| !is_word(before) && !is_word(after);
    Word { text, reason: "unfinished work belongs in the tracker", counts }
}

const fn path(text: &'static str) -> Word {
    let counts = |before, _| !(is_word(before) || matches!(before, Some('.' | '-' | '~' | '}')));
    Word { text, reason: "a path of one machine", counts }
}

const fn host(text: &'static str) -> Word {
    let counts = |_, after| !is_word(after);
    Word { text, reason: "a package registry is configured by the person, never named", counts }
}

fn is_word(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_alphanumeric() || character == '_')
}

/// Searches every file that is tracked or would be.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let list = workspace.git("ls-files -z --cached --others --exclude-standard");
    let list = process::capture(list)?;
    let mut searched = 0;
    let mut findings = Vec::new();
    for path in list.split_terminator('\0').filter(|path| is_ours(path)) {
        let file = workspace.root().join(path);
        // git also lists files that were deleted since, and directories with a repository in them.
        if file.is_file() {
            let unreadable = |error| Failure::new(format!("{path} cannot be read: {error}"));
            let content = fs::read(file).map_err(unreadable)?;
            findings.extend(judge(path, &String::from_utf8_lossy(&content)));
            searched += 1;
        }
    }
    println!("== words: {searched} files searched");
    if searched == 0 {
        return Err(Failure::new("git lists no file of this workspace"));
    }
    Failure::of_findings(&findings)?;
    Ok(Outcome::Done)
}

/// Returns whether people wrote the file: cargo writes its lock files, with the registry in them.
fn is_ours(path: &str) -> bool {
    path != "Cargo.lock" && !path.ends_with("/Cargo.lock")
}

fn judge(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // A host is the same in any case.
        let lower = line.to_ascii_lowercase();
        for word in WORDS.iter().filter(|word| holds(line, word) || holds(&lower, word)) {
            findings.push(format!("{path}:{number}: `{}`: {}", word.text, word.reason));
        }
    }
    findings
}

fn holds(line: &str, word: &Word) -> bool {
    line.match_indices(word.text).any(|(start, text)| {
        let before = line[..start].chars().next_back();
        let after = line[start + text.len()..].chars().next();
        (word.counts)(before, after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_and_named() {
        for word in WORDS {
            let text = format!("first line\nsee {} there\n", word.text);
            let expected = format!("a.rs:2: `{}`: {}", word.text, word.reason);
            assert_eq!(judge("a.rs", &text), [expected]);
        }
    }

    #[test]
    fn a_longer_word_is_another_word() {
        for word in WORDS {
            let text = match word.text {
                path if path.starts_with('/') => format!("https://example.com{path}x ~{path}x"),
                other => format!("x_{other}_x"),
            };
            assert_eq!(judge("a.rs", &text), [""; 0], "{text}");
        }
    }

    #[test]
    fn paths_and_hosts_are_found_inside_of_urls() {
        let [path, host] = [concat!("file:///", "root/x"), concat!("https://index.Crates", ".io/")];
        assert_eq!(judge("a.md", path).len(), 1);
        assert_eq!(judge("a.md", host).len(), 1);
    }

    #[test]
    fn lock_files_are_cargos() {
        assert!(!is_ours("Cargo.lock") && !is_ours("docs/examples/downstream/Cargo.lock"));
        assert!(is_ours("Cargo.toml") && is_ours("docs/not-Cargo.lock"));
    }
}
