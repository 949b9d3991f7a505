//! The search in the sandbox: all that it can read, for anything like a token of GitHub's.
//!
//! It does not know the token, which is why it reports what might be one. That it finds the
//! placeholder, which *is* there, shows that it works.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use moat_run::sandbox::PROXY_SOCKET;

/// What a token begins with: as it is, in hexadecimal, and in base64 at each of the three
/// alignments, without the characters that what stands before and behind has a part in.
const PREFIXES: [&[u8]; 5] = [b"ghp_", b"6768705f", b"Z2hwX", b"docF", b"naHBf"];
/// How long a token is at least, in any of these forms.
const SHORTEST: usize = 40;
/// How much of a candidate is kept before and from its prefix on.
const BEFORE: usize = 16;
const BEHIND: usize = 256;
/// The most candidates that are kept.
const CANDIDATES: usize = 10_000;

/// Every how many bytes the search looks: a word of [`SHORTEST`] is not missed.
const STEP: usize = 32;
/// How much is read at once.
const CHUNK: usize = 1 << 20;
/// How much of what was read before is looked at again, for what lies across.
const OVERLAP: usize = BEFORE + BEHIND;
/// How much is left out where something cannot be read.
const PAGE: u64 = 4096;
/// A mapping that is longer is not memory that anything was put into.
const LONGEST_MAPPING: u64 = 1 << 30;

/// Where files of a run are. The program of the search is not among them: it is older than the
/// token.
const PLACES: [&str; 6] = ["/dev/shm", "/etc", "/home", "/run", "/tmp", "/var"];
/// How deep directories are looked into.
const DEEPEST: usize = 32;

/// Collects what looks like a token.
#[derive(Debug)]
pub(super) struct Search {
    placeholder: Vec<u8>,
    /// Where the placeholder stands.
    pub(super) placeholder_in: BTreeSet<&'static str>,
    /// What else looks like a token.
    pub(super) candidates: BTreeSet<String>,
    pub(super) bytes: u64,
    pub(super) files: usize,
    pub(super) processes: usize,
}

impl Search {
    pub(super) fn new(placeholder: &str) -> Self {
        Self {
            placeholder: placeholder.into(),
            placeholder_in: BTreeSet::new(),
            candidates: BTreeSet::new(),
            bytes: 0,
            files: 0,
            processes: 0,
        }
    }

    /// Looks at all that is there, in a sandbox; without one at what the run alone has.
    pub(super) fn everything(&mut self, home: Option<&str>) {
        if !Path::new(PROXY_SOCKET).exists() {
            home.into_iter().for_each(|home| self.directory(Path::new(home), 0));
            return self.process(Path::new("/proc/self"));
        }
        for place in PLACES {
            self.directory(Path::new(place), 0);
        }
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                self.process(&entry.path());
            }
        }
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                    self.directory(&entry.path(), depth + 1);
                }
                Ok(kind) if kind.is_file() => {
                    self.files += 1;
                    self.file("files", &entry.path());
                }
                _ => {}
            }
        }
    }

    fn process(&mut self, path: &Path) {
        self.file("environment", &path.join("environ"));
        self.file("arguments", &path.join("cmdline"));
        let maps = fs::read_to_string(path.join("maps"));
        let (Ok(maps), Ok(memory)) = (maps, File::open(path.join("mem"))) else { return };
        self.processes += 1;
        for (first, last) in maps.lines().filter_map(readable) {
            self.range("memory", &memory, first, last);
        }
    }

    fn file(&mut self, place: &'static str, path: &Path) {
        if let Ok(file) = File::open(path) {
            self.range(place, &file, 0, u64::MAX);
        }
    }

    /// Reads from one position to another or to the end.
    fn range(&mut self, place: &'static str, file: &File, first: u64, last: u64) {
        let mut text = vec![0; OVERLAP + CHUNK];
        let (mut at, mut kept) = (first, 0);
        while at < last {
            let most = usize::try_from(last - at).unwrap_or(CHUNK).min(CHUNK);
            match file.read_at(&mut text[kept..kept + most], at) {
                Ok(0) => return,
                Ok(read) => {
                    self.bytes += read as u64;
                    at += read as u64;
                    self.look(place, &text[..kept + read]);
                    let again = OVERLAP.min(kept + read);
                    text.copy_within(kept + read - again..kept + read, 0);
                    kept = again;
                }
                // A page of memory may have no contents; a file that cannot be read has no end.
                Err(_) if last == u64::MAX => return,
                Err(_) => {
                    at += PAGE;
                    kept = 0;
                }
            }
        }
    }

    /// Looks for words that are long enough.
    fn look(&mut self, place: &'static str, text: &[u8]) {
        let mut at = STEP - 1;
        while at < text.len() {
            if IN_WORD[usize::from(text[at])] {
                let is_out = |byte: &u8| !IN_WORD[usize::from(*byte)];
                let start = text[..at].iter().rposition(is_out).map_or(0, |out| out + 1);
                let end = text[at..].iter().position(is_out).map_or(text.len(), |out| at + out);
                if end - start >= SHORTEST {
                    self.word(place, &text[start..end]);
                }
                at = end;
            }
            at += STEP;
        }
    }

    fn word(&mut self, place: &'static str, word: &[u8]) {
        for prefix in PREFIXES {
            let starts = word.windows(prefix.len()).enumerate();
            for (at, _) in starts.filter(|(_, window)| *window == prefix) {
                if word[at..].starts_with(&self.placeholder) {
                    self.placeholder_in.insert(place);
                } else if self.candidates.len() < CANDIDATES {
                    let kept = &word[at.saturating_sub(BEFORE)..word.len().min(at + BEHIND)];
                    self.candidates.insert(String::from_utf8_lossy(kept).into_owned());
                }
            }
        }
    }
}

/// Which bytes a token may have in any of its forms.
const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        table[byte] =
            character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    table
};

/// Reads a line of `/proc/PID/maps` (proc(5)): a range that can be read.
fn readable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (first, last) = words.next()?.split_once('-')?;
    let is_readable = words.next()?.starts_with('r');
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (first, last) = (number(first)?, number(last)?);
    (is_readable && last - first <= LONGEST_MAPPING).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{Alphabet, HeaderTemplate};
    use moat_provider_testkit::Canary;

    use super::*;

    const PLACEHOLDER: &str = "ghp_0000000000000000000000000000000000000";

    fn token() -> Canary {
        Canary::shaped("ghp_", Alphabet::Alphanumeric, 36)
    }

    /// Whether the search reports the token, so that the host recognises it.
    fn reports(token: &Canary, text: &[u8]) -> bool {
        let mut search = Search::new(PLACEHOLDER);
        search.look("memory", text);
        search.candidates.iter().any(|candidate| token.find_in_str(candidate).is_some())
    }

    fn within(text: &str, before: usize) -> Vec<u8> {
        [vec![0; before], text.as_bytes().to_vec(), vec![0; 100]].concat()
    }

    #[test]
    fn a_token_is_found_wherever_it_begins() {
        let token = token();
        for before in 0..=2 * STEP {
            assert!(reports(&token, &within(token.text(), before)), "{before}");
        }
        assert!(reports(&token, format!("{{\"a\":\"x{}\"}}", token.text()).as_bytes()));
        assert!(!reports(&token, &within(self::token().text(), 7)));
    }

    #[test]
    fn a_token_is_found_in_hexadecimal_and_at_each_alignment_of_base64() {
        let token = token();
        let hex: String = token.text().bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(reports(&token, &within(&hex, 3)));
        for user in ["a", "ab", "abc"] {
            let basic =
                HeaderTemplate::Basic { user: user.into() }.render(&token.secret()).unwrap();
            assert!(reports(&token, &within(basic.to_str().unwrap(), 5)), "{user}");
        }
    }

    #[test]
    fn what_lies_across_two_reads_is_found_and_every_byte_counts_once() {
        let token = token();
        for before in [CHUNK - 45, CHUNK - 20, CHUNK - 1, CHUNK] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let text = within(token.text(), before);
            fs::write(file.path(), &text).unwrap();
            let mut search = Search::new(PLACEHOLDER);
            search.file("files", file.path());
            let found = search.candidates.iter().any(|it| token.find_in_str(it).is_some());
            assert!(found && search.bytes == text.len() as u64, "{before}: {search:?}");
        }
    }

    #[test]
    fn the_memory_of_this_process_is_searched_with_its_environment() {
        let token = token();
        let mut search = Search::new(PLACEHOLDER);
        let placeholder = PLACEHOLDER.to_owned();
        search.process(Path::new("/proc/self"));
        assert!(search.candidates.iter().any(|it| token.find_in_str(it).is_some()));
        assert!(search.placeholder_in.contains("memory"), "{placeholder}");
        assert_eq!(search.processes, 1);
    }
}
