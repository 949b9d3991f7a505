//! Canaries: secrets drawn per test, and the search for them.

mod decode;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use moat_provider_core::{
    Alphabet, CredentialKey, PlaceholderKey, PlaceholderShape, ProviderName, RunContext, Secret,
};

use self::decode::DECODERS;

/// How many bytes in a row count as a leak: less may occur by chance or be a public prefix.
const WINDOW: usize = 16;
/// How many encodings may lie around one another.
const DEPTH: usize = 3;
/// Characters that encodings treat in their own ways; every canary of [`Canary::new`] has them all.
const AWKWARD: &[u8; 6] = b"+/=%\"\\";

/// A secret that was drawn for one test, and is looked for everywhere that it must not be.
///
/// The search finds the canary, and any part of at least 16 bytes beyond its public prefix, as it
/// is and in every [`Encoding`], also in up to three of them around one another, and with white
/// space in between.
///
/// ```
/// use moat_provider_testkit::{Canary, Encoding};
///
/// let canary = Canary::with_prefix("sk-");
/// let log = format!("refused: {:?}", canary.text());
/// assert!(canary.find_in_str(&log).is_some());
/// assert_eq!(canary.find_in_str("refused: sk-…"), None);
/// ```
#[derive(Clone)]
pub struct Canary {
    secret: Secret,
    windows: Arc<Windows>,
}

/// How a canary that was found is encoded; the outermost encoding, when there are several.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Percent-encoded (RFC 3986, section 2.1), in whole or in part.
    Percent,
    /// With the escapes of JSON strings (RFC 8259, section 7) or of Rust's and C's literals.
    Escaped,
    /// Hexadecimal, in any case, with or without separators.
    Hex,
    /// Base64 in either alphabet (RFC 4648, sections 4 and 5), at any alignment, padded or not.
    Base64,
    /// A list of decimal numbers, as `Debug` prints bytes.
    Decimal,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "in plain text",
            Self::Percent => "percent-encoded",
            Self::Escaped => "with escapes",
            Self::Hex => "in hexadecimal",
            Self::Base64 => "in base64",
            Self::Decimal => "as decimal numbers",
        })
    }
}

impl Canary {
    /// Draws a canary of 32 to 4,096 printable ASCII characters, mostly of few, among them `+`, `/`,
    /// `=`, `%`, `"` and `\`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_prefix("")
    }

    /// Draws a canary like [`new`](Self::new), behind a public prefix such as `sk-`.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        // Each doubling from 32 up is as likely as the next.
        let drawn = random_bytes(3);
        let shortest = 32_usize << (drawn[0] % 7);
        let beyond = usize::from(drawn[1]) << 8 | usize::from(drawn[2]);
        Self::with_length(prefix, shortest + beyond % (shortest + 1))
    }

    /// Draws a canary like [`with_prefix`](Self::with_prefix) with this many characters behind the
    /// prefix.
    ///
    /// # Panics
    ///
    /// When the length is not from 32 to 4,096.
    #[must_use]
    pub fn with_length(prefix: &str, len: usize) -> Self {
        assert!((32..=4096).contains(&len), "a canary has 32 to 4,096 characters, not {len}");
        let mut drawn: Vec<u8> =
            random_bytes(len).into_iter().map(|byte| b'!' + byte % (b'~' - b'!' + 1)).collect();
        // One awkward character in each sixth, so that no long stretch is free of them.
        let sixth = len / AWKWARD.len();
        for (at, (awkward, byte)) in AWKWARD.iter().zip(random_bytes(AWKWARD.len())).enumerate() {
            drawn[at * sixth + usize::from(byte) % sixth] = *awkward;
        }
        Self::behind(prefix, drawn)
    }

    /// Draws a canary of a vendor's shape: a public prefix and characters of an alphabet.
    ///
    /// # Panics
    ///
    /// When `len` is less than 16.
    #[must_use]
    pub fn shaped(prefix: &str, alphabet: Alphabet, len: usize) -> Self {
        Self::of_shape(&PlaceholderShape::prefixed(prefix, alphabet, len))
    }

    /// Draws a canary of a vendor's shape. Its literal parts count as public.
    ///
    /// # Panics
    ///
    /// When the shape does not end in 16 random characters.
    #[must_use]
    pub fn of_shape(shape: &PlaceholderShape) -> Self {
        let text = draw(shape);
        let public: HashSet<Vec<u8>> = windows_of(draw(shape).as_bytes()).collect();
        let windows = windows_of(text.as_bytes()).filter(|window| !public.contains(window));
        Self { windows: Arc::new(windows.collect()), secret: Secret::new(text) }
    }

    /// Takes a secret that is there already. One of less than 16 bytes is never found.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "what is looked for")]
    pub fn of(secret: &Secret) -> Self {
        Self {
            secret: secret.clone(),
            windows: Arc::new(windows_of(secret.expose().as_bytes()).collect()),
        }
    }

    fn behind(prefix: &str, drawn: Vec<u8>) -> Self {
        let windows = Arc::new(windows_of(&drawn).collect());
        let mut text = prefix.to_owned();
        text.extend(drawn.into_iter().map(char::from));
        Self { secret: Secret::new(text), windows }
    }

    /// Returns the canary as a secret.
    #[must_use]
    pub fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// Returns the canary's text, for answers of a vendor and for files.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a canary protects nothing outside its test")]
    pub fn text(&self) -> &str {
        self.secret.expose()
    }

    /// Looks for the canary, or a part of it, in bytes.
    #[must_use]
    pub fn find_in(&self, haystack: &[u8]) -> Option<Encoding> {
        find_any([self], haystack)
    }

    /// Looks for the canary, or a part of it, in text.
    #[must_use]
    pub fn find_in_str(&self, haystack: &str) -> Option<Encoding> {
        self.find_in(haystack.as_bytes())
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").finish_non_exhaustive()
    }
}

/// Looks for several canaries at once.
pub(crate) fn find_any<'a>(
    canaries: impl IntoIterator<Item = &'a Canary>,
    haystack: &[u8],
) -> Option<Encoding> {
    let windows: Vec<&Windows> = canaries.into_iter().map(|canary| &*canary.windows).collect();
    find(&windows, haystack, DEPTH)
}

fn find(windows: &[&Windows], haystack: &[u8], depth: usize) -> Option<Encoding> {
    let compact: Vec<u8> =
        haystack.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if windows.iter().any(|windows| windows.occur_in(&compact)) {
        return Some(Encoding::Plain);
    }
    if depth == 0 {
        return None;
    }
    DECODERS.iter().find_map(|(encoding, decode)| {
        let decoded = decode(&compact)?;
        find(windows, &decoded, depth - 1).map(|_| *encoding)
    })
}

/// Every run of [`WINDOW`] bytes of the secret, sorted, with a table of the pairs of bytes they
/// begin with.
struct Windows {
    sorted: Vec<Vec<u8>>,
    begins: Vec<bool>,
}

impl Windows {
    fn occur_in(&self, haystack: &[u8]) -> bool {
        !self.sorted.is_empty()
            && haystack.windows(WINDOW).any(|window| {
                self.begins[pair(window)]
                    && self.sorted.binary_search_by(|own| own.as_slice().cmp(window)).is_ok()
            })
    }
}

impl FromIterator<Vec<u8>> for Windows {
    fn from_iter<I: IntoIterator<Item = Vec<u8>>>(windows: I) -> Self {
        let mut sorted: Vec<_> = windows.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut begins = vec![false; 1 << 16];
        for window in &sorted {
            begins[pair(window)] = true;
        }
        Self { sorted, begins }
    }
}

fn pair(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

fn windows_of(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.windows(WINDOW).map(<[u8]>::to_vec)
}

/// Draws a text of a shape: a placeholder whose key is thrown away.
fn draw(shape: &PlaceholderShape) -> String {
    let name = ProviderName::from_static("canary");
    let mut key = [0; 32];
    key.copy_from_slice(&random_bytes(32));
    let (Ok(id), Ok(home)) = ("canary".parse(), "/".parse()) else {
        unreachable!("a run of this name and home is valid")
    };
    let run = RunContext::builder(id, home, PlaceholderKey::from_bytes(key)).build();
    match run.placeholder(&CredentialKey::new(name), "canary", shape) {
        Ok(placeholder) => placeholder.as_str().to_owned(),
        Err(error) => panic!("no canary can be drawn: {error}"),
    }
}

/// Draws bytes from the system.
pub(crate) fn random_bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the system has no random bytes to give: {error}");
    }
    bytes
}
