//! Undoing encodings. Each decoder leaves what is not encoded as it is, or drops it.

use super::{Encoding, WINDOW};

/// Decodes text without white space; `None` when nothing in it is encoded this way.
pub(super) type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

pub(super) const DECODERS: [(Encoding, Decoder); 5] = [
    (Encoding::Percent, percent),
    (Encoding::Escaped, escapes),
    (Encoding::Hex, hex),
    (Encoding::Base64, base64),
    (Encoding::Decimal, decimal),
];

/// Separates pieces that do not belong together; no canary has it.
const GAP: u8 = 0;

/// RFC 3986, section 2.1.
fn percent(text: &[u8]) -> Option<Vec<u8>> {
    replace(text, b'%', |rest| Some((hex_number(rest.get(1..3)?)?, 3)))
}

/// RFC 8259, section 7, and what Rust and C add: `\x2f`, `\u{2f}`, `\'`.
fn escapes(text: &[u8]) -> Option<Vec<u8>> {
    replace(text, b'\\', |rest| {
        let letter = *rest.get(1)?;
        Some(match letter {
            b'u' if rest.get(2) == Some(&b'{') => {
                let end = rest.iter().take(12).position(|byte| *byte == b'}')?;
                (hex_number(&rest[3..end])?, end + 1)
            }
            b'u' => (hex_number(rest.get(2..6)?)?, 6),
            b'x' => (hex_number(rest.get(2..4)?)?, 4),
            b'n' | b'r' | b't' | b'b' | b'f' => (u32::from(b'\n'), 2),
            _ => (u32::from(letter), 2),
        })
    })
}

/// Replaces what begins with a mark: `decode` returns the character and how long its code is.
fn replace(
    text: &[u8],
    mark: u8,
    decode: impl Fn(&[u8]) -> Option<(u32, usize)>,
) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(first) = rest.first() {
        let code = if *first == mark { decode(rest) } else { None };
        let (character, len) = code.unwrap_or((u32::from(*first), 1));
        changed |= code.is_some();
        // A canary is ASCII: whatever is not may become anything else.
        decoded.push(u8::try_from(character).unwrap_or(GAP));
        rest = &rest[len..];
    }
    changed.then_some(decoded)
}

fn hex_number(digits: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(digits).ok()?;
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| all)
}

/// Pairs of digits, bare or with `:`, `-`, `,`, `0x` or `\x` between them.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut bare = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'0' | b'\\', [b'x' | b'X', tail @ ..]) => tail,
            (b':' | b'-' | b',', tail) => tail,
            _ => {
                bare.push(*first);
                tail
            }
        };
    }
    runs(&bare, 2 * WINDOW, u8::is_ascii_hexdigit, |run, decoded| {
        for start in [run, &run[1..]] {
            decoded.push(GAP);
            decoded.extend(
                start.chunks_exact(2).filter_map(|pair| u8::try_from(hex_number(pair)?).ok()),
            );
        }
    })
}

/// RFC 4648, sections 4 and 5. Where a run begins is not known, so each of four alignments is tried.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    runs(
        text,
        WINDOW * 4 / 3,
        |byte| sextet(*byte).is_some(),
        |run, decoded| {
            for start in 0..4.min(run.len()) {
                decoded.push(GAP);
                let sextets: Vec<u8> = run[start..].iter().copied().filter_map(sextet).collect();
                for group in sextets.chunks(4) {
                    let bits = group.iter().fold(0_u32, |bits, next| bits << 6 | u32::from(*next));
                    let bits = bits << (6 * (4 - group.len()));
                    decoded.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
                }
            }
        },
    )
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// `[103,104,112]`, as `Debug` prints bytes.
fn decimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit_or_comma = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
    runs(text, 2 * WINDOW, digit_or_comma, |run, decoded| {
        decoded.push(GAP);
        decoded.extend(run.split(|byte| *byte == b',').map(|number| {
            str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(GAP)
        }));
    })
}

/// Decodes each stretch of at least `least` bytes that belong to an alphabet.
fn runs(
    text: &[u8],
    least: usize,
    belongs: impl Fn(&u8) -> bool,
    decode: impl Fn(&[u8], &mut Vec<u8>),
) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    for run in text.split(|byte| !belongs(byte)) {
        if run.len() >= least {
            decode(run, &mut decoded);
        }
    }
    (!decoded.is_empty()).then_some(decoded)
}
