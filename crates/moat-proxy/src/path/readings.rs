//! What servers make of a path before they look at it: every way, in every order.
//!
//! A server, a framework and a gateway in front of them each take some of these steps, some of them
//! twice. All paths that any sequence of steps leads to are readings of the path.

use std::collections::HashSet;

/// How many paths a closure may hold, and how many bytes all of them together. A path that has more
/// readings is one that nobody sends in good faith.
const MOST: usize = 128;
const MOST_BYTES: usize = 256 * 1024;

/// Every path that servers may read a path as, the seeds first.
pub(super) struct Readings {
    pub(super) paths: Vec<Vec<u8>>,
    /// Whether there were more than were followed up.
    pub(super) exhausted: bool,
}

type Step = fn(&[u8]) -> Vec<u8>;

const STEPS: [Step; 13] = [
    decode,
    decode_but_slash,
    decode_code_units,
    fold_lookalikes,
    backslashes_to_slashes,
    merge_slashes,
    strip_parameters,
    remove_dot_segments,
    cut_at_delimiter,
    strip_spaces_of_segments,
    strip_dots_of_segments,
    strip_controls,
    strip_broken_utf8,
];

pub(super) fn closure(seeds: impl IntoIterator<Item = Vec<u8>>) -> Readings {
    let mut paths: Vec<Vec<u8>> = Vec::new();
    let mut known = HashSet::new();
    let mut bytes = 0;
    for seed in seeds {
        if known.insert(seed.clone()) {
            bytes += seed.len();
            paths.push(seed);
        }
    }
    let mut at = 0;
    while at < paths.len() {
        for step in STEPS {
            let next = step(&paths[at]);
            if known.contains(&next) {
                continue;
            }
            bytes += next.len();
            if paths.len() == MOST || bytes > MOST_BYTES {
                return Readings { paths, exhausted: true };
            }
            known.insert(next.clone());
            paths.push(next);
        }
        at += 1;
    }
    Readings { paths, exhausted: false }
}

/// The value of the percent sequence at the start; `None` when there is none, or a broken one.
pub(super) fn percent(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Rewrites a path from left to right: `next` returns what stands for how many bytes at the start
/// of the rest, `None` for a byte that stays.
pub(super) fn rewrite(path: &[u8], next: impl Fn(&[u8]) -> Option<(u8, usize)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.first() {
        let (byte, len) = next(rest).unwrap_or((*first, 1));
        out.push(byte);
        rest = rest.get(len..).unwrap_or_default();
    }
    out
}

fn decode(path: &[u8]) -> Vec<u8> {
    rewrite(path, |rest| percent(rest).map(|byte| (byte, 3)))
}

/// As a router does that splits first and decodes the segments: an encoded slash is no border.
fn decode_but_slash(path: &[u8]) -> Vec<u8> {
    rewrite(path, |rest| percent(rest).filter(|byte| *byte != b'/').map(|byte| (byte, 3)))
}

/// `%u002e`, which some servers of Microsoft's take.
fn decode_code_units(path: &[u8]) -> Vec<u8> {
    rewrite(path, |rest| match rest {
        [b'%', b'u' | b'U', a, b, c, d, ..] => {
            let unit = [*a, *b, *c, *d]
                .into_iter()
                .try_fold(0_u32, |unit, digit| Some(unit << 4 | u32::from(hex(digit)?)))?;
            ascii(unit).map(|byte| (byte, 6))
        }
        _ => None,
    })
}

/// Overlong UTF-8 (RFC 3629, section 10) and the full-width forms of ASCII.
fn fold_lookalikes(path: &[u8]) -> Vec<u8> {
    let low = |byte: u8| (byte & 0xc0 == 0x80).then_some(u32::from(byte & 0x3f));
    rewrite(path, |rest| match rest {
        [lead @ (0xc0 | 0xc1), b, ..] => {
            ascii(u32::from(lead & 0x1f) << 6 | low(*b)?).map(|byte| (byte, 2))
        }
        [lead @ 0xe0..=0xef, b, c, ..] => {
            let code = u32::from(lead & 0x0f) << 12 | low(*b)? << 6 | low(*c)?;
            ascii(code).map(|byte| (byte, 3))
        }
        _ => None,
    })
}

/// The ASCII character that a code point is, or looks like at full width.
fn ascii(code: u32) -> Option<u8> {
    let code = if (0xff01..=0xff5e).contains(&code) { code - 0xfee0 } else { code };
    u8::try_from(code).ok().filter(u8::is_ascii)
}

fn backslashes_to_slashes(path: &[u8]) -> Vec<u8> {
    rewrite(path, |rest| (rest[0] == b'\\').then_some((b'/', 1)))
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|next, before| *next == b'/' && *before == b'/');
    out
}

fn map_segments(path: &[u8], map: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(map).collect();
    segments.join(&b'/')
}

/// Path parameters: `/a;v=1/b` (RFC 3986, section 3.3).
fn strip_parameters(path: &[u8]) -> Vec<u8> {
    map_segments(path, |segment| segment.split(|byte| *byte == b';').next().unwrap_or(segment))
}

fn strip_spaces_of_segments(path: &[u8]) -> Vec<u8> {
    map_segments(path, |segment| trim_end(segment, b' '))
}

/// Dots at the end of a name, which Windows drops.
fn strip_dots_of_segments(path: &[u8]) -> Vec<u8> {
    map_segments(path, |segment| match segment {
        b"." | b".." => segment,
        _ => trim_end(segment, b'.'),
    })
}

fn trim_end(mut text: &[u8], byte: u8) -> &[u8] {
    while let Some(shorter) = text.strip_suffix(&[byte]) {
        text = shorter;
    }
    text
}

/// RFC 3986, section 5.2.4.
pub(super) fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    // What precedes the first slash, which is nothing in a path.
    segments.next();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push(b"");
        }
    }
    let mut out = vec![b'/'];
    out.extend(kept.join(&b'/'));
    out
}

/// What a decoded query mark, number sign or NUL ends for whoever parses the path once more.
fn cut_at_delimiter(path: &[u8]) -> Vec<u8> {
    path.split(|byte| b"?#\0".contains(byte)).next().unwrap_or(path).to_vec()
}

/// As a server does that decodes text and leaves out what is no UTF-8.
fn strip_broken_utf8(path: &[u8]) -> Vec<u8> {
    path.utf8_chunks().flat_map(|chunk| chunk.valid().bytes()).collect()
}

/// As URL parsers do that drop tabs and line ends (WHATWG URL, "basic URL parser").
fn strip_controls(path: &[u8]) -> Vec<u8> {
    path.iter().copied().filter(|byte| !byte.is_ascii_control()).collect()
}
