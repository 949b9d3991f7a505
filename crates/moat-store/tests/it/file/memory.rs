//! What stays in memory: a process searches itself for a secret that it has dropped.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use moat_provider_core::{Credential, CredentialKey, Secret};
use moat_store::{CredentialStore, Expect, FileStore, FixedKey, MasterKey};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use super::child::{Worker, say};
use crate::support::{Home, key};

/// Copies in memory after each step: the token as it is, the token in base64, the master key.
const EXPECTED: &[(&str, [usize; 3])] = &[
    ("before", [0, 0, 1]),
    ("credential made", [1, 0, 1]),
    ("saved", [1, 0, 1]),
    ("credential dropped", [0, 0, 1]),
    ("loaded", [1, 0, 1]),
    ("loaded credential dropped", [0, 0, 1]),
    ("listed", [0, 0, 1]),
    ("rotated and dropped", [0, 0, 1]),
    ("removed", [0, 0, 1]),
    ("store dropped", [0, 0, 0]),
];

#[test]
fn a_dropped_secret_is_nowhere_in_memory() {
    let home = Home::new();
    let said = Worker::start("search memory", home.path()).finish();
    println!("copies after each step: token, token in base64, master key\n{}", said.join("\n"));
    let expected: Vec<_> =
        EXPECTED.iter().map(|(step, found)| format!("{step}: {found:?}")).collect();
    assert_eq!(said, expected);
}

pub(super) fn in_child(runtime: &Runtime, store: &FileStore) {
    let needles = Needles::draw();
    let master = needles.with_key(|bytes| Arc::new(FixedKey::new(MasterKey::from_bytes(bytes))));
    let store = FileStore::builder(store.home()).key_source(master).build();
    let github = key("github");
    let step = |name: &str| say(format_args!("{name}: {:?}", needles.count()));

    step("before");
    let credential = needles.credential(&github);
    step("credential made");
    runtime.block_on(store.save(&credential, Expect::Absent)).unwrap();
    step("saved");
    drop(credential);
    step("credential dropped");
    let stored = runtime.block_on(store.load(&github)).unwrap();
    step("loaded");
    drop(stored);
    step("loaded credential dropped");
    assert!(runtime.block_on(store.list()).unwrap()[0].info.is_ok());
    step("listed");
    for _ in 0..20 {
        let stored = runtime.block_on(store.load(&github)).unwrap();
        let next = stored.credential.renew().metadata("time", "later").build();
        runtime.block_on(store.save(&next, Expect::Generation(stored.generation))).unwrap();
    }
    step("rotated and dropped");
    runtime.block_on(store.remove(&github)).unwrap();
    step("removed");
    drop(store);
    step("store dropped");
}

/// What is looked for, kept so that the search does not find itself: every byte combined with a
/// random one.
struct Needles {
    token: Needle,
    encoded: Needle,
    master: Needle,
}

impl Needles {
    fn draw() -> Self {
        // As a vendor's token that is JSON: JSON escapes its quotes and backslashes.
        let token = Needle::draw(96, |at, byte| match at % 12 {
            3 => b'"',
            7 => b'\\',
            _ => b'0' + byte % 64,
        });
        let encoded = Needle::of_base64(&token);
        Self { token, encoded, master: Needle::draw(32, |_, byte| byte) }
    }

    fn credential(&self, key: &CredentialKey) -> Credential {
        let mut token = String::with_capacity(self.token.len());
        (0..self.token.len()).for_each(|at| token.push(char::from(self.token.byte(at))));
        Credential::builder(key.clone(), Secret::new(token), OffsetDateTime::UNIX_EPOCH).build()
    }

    fn with_key<T>(&self, make: impl FnOnce(&[u8; 32]) -> T) -> T {
        let mut bytes = Box::new([0; 32]);
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = self.master.byte(at));
        let made = make(&bytes);
        // The compiler must not leave this out, although nobody reads it again.
        std::hint::black_box(&mut *bytes).fill(0);
        std::hint::black_box(&bytes);
        made
    }

    /// Counts the copies of each in all memory that this process can read.
    fn count(&self) -> [usize; 3] {
        const CHUNK: usize = 1 << 20;
        let memory = File::open("/proc/self/mem").unwrap();
        let mut buffer = vec![0; CHUNK];
        let own = buffer.as_ptr_range();
        let own = own.start as u64..own.end as u64;
        let mut found = [0; 3];
        for (start, end) in readable_regions() {
            let mut at = start;
            while at < end {
                let len = CHUNK.min(usize::try_from(end - at).unwrap());
                // Some regions of the kernel's cannot be read, although the list says so.
                let Ok(read) = memory.read_at(&mut buffer[..len], at) else { break };
                if read == 0 {
                    break;
                }
                for (needle, found) in
                    [&self.token, &self.encoded, &self.master].iter().zip(&mut found)
                {
                    *found += needle
                        .places(&buffer[..read])
                        .filter(|place| !own.contains(&(at + *place as u64)))
                        .count();
                }
                // What lies across the border of two chunks is found in the second.
                let overlap = if read == len && at + len as u64 != end { 128 } else { 0 };
                at += read as u64 - overlap;
            }
        }
        found
    }
}

struct Needle {
    masked: Vec<u8>,
    mask: Vec<u8>,
}

impl Needle {
    /// A part that is long enough not to occur by chance, and not at the beginning, which the
    /// allocator overwrites when it takes memory back.
    const WINDOW: std::ops::Range<usize> = 16..32;

    fn draw(len: usize, shape: impl Fn(usize, u8) -> u8) -> Self {
        let (mut drawn, mut mask) = (vec![0; len], vec![0; len]);
        getrandom::fill(&mut drawn).unwrap();
        getrandom::fill(&mut mask).unwrap();
        let masked = (0..len).map(|at| shape(at, drawn[at]) ^ mask[at]).collect();
        Self { masked, mask }
    }

    /// What a needle becomes in base64 (RFC 4648, section 4), byte by byte.
    fn of_base64(other: &Self) -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        Self::draw(other.len() / 3 * 4, |at, _| {
            let byte = |offset| u32::from(other.byte(at / 4 * 3 + offset));
            let group = byte(0) << 16 | byte(1) << 8 | byte(2);
            ALPHABET[(group >> (18 - 6 * (at % 4)) & 63) as usize]
        })
    }

    fn len(&self) -> usize {
        self.masked.len()
    }

    fn byte(&self, at: usize) -> u8 {
        self.masked[at] ^ self.mask[at]
    }

    fn places<'a>(&'a self, haystack: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let is_here = move |place: &usize| {
            haystack.get(*place..*place + Self::WINDOW.len()).is_some_and(|window| {
                window.iter().zip(Self::WINDOW).all(|(byte, at)| *byte == self.byte(at))
            })
        };
        memchr::memchr_iter(self.byte(Self::WINDOW.start), haystack).filter(is_here)
    }
}

fn readable_regions() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let region = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        fields.next()?.starts_with('r').then(|| (address(start), address(end)))
    };
    maps.lines().filter_map(region).collect()
}

#[test]
fn the_search_finds_what_is_there() {
    let needles = Needles::draw();
    assert_eq!(needles.count(), [0, 0, 0]);
    let credentials = [needles.credential(&key("github")), needles.credential(&key("npm"))];
    let master = needles.with_key(MasterKey::from_bytes);
    assert_eq!(needles.count(), [2, 0, 1]);
    drop((credentials, master));
    assert_eq!(needles.count(), [0, 0, 0]);
}
