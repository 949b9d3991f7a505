//! Placeholders: the vendor-shaped dummies that stand in the container for secrets.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ports::Entropy;
use crate::text::print_as_text;
use crate::{CredentialKey, Error, Result, RunId};

/// How many characters at a placeholder's end are its keyed tag.
const TAG_LEN: usize = 8;
/// The least length of the random characters at the end: the tag, and as many before it.
const MIN_TAIL: usize = 2 * TAG_LEN;

/// A dummy that looks like one of a vendor's secrets.
///
/// Not secret: the container reads it. It belongs to one run, one grant and one label, and its last
/// eight characters are a tag that only the host's [`PlaceholderKey`] can make.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placeholder(Arc<str>);

impl Placeholder {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a header's value is this placeholder: bare, behind any one scheme word, or as user
    /// or password of Basic credentials (RFC 7617). A longer text that contains it does not count.
    #[must_use]
    pub fn is_carried_by(&self, value: &HeaderValue) -> bool {
        let Ok(value) = value.to_str() else {
            return false;
        };
        let value = value.trim();
        if value == self.as_str() {
            return true;
        }
        let Some((scheme, parameters)) = value.split_once(' ') else {
            return false;
        };
        let parameters = parameters.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            self.is_in_basic(parameters)
        } else {
            parameters == self.as_str()
        }
    }

    fn is_in_basic(&self, encoded: &str) -> bool {
        let Ok(decoded) = STANDARD.decode(encoded) else {
            return false;
        };
        let mut halves = decoded.splitn(2, |byte| *byte == b':');
        halves.any(|half| half == self.0.as_bytes())
    }
}

print_as_text!(Placeholder);

/// The characters of a random part.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// `A-Z a-z 0-9`
    Alphanumeric,
    /// `a-z 0-9`
    LowerAlphanumeric,
    /// `A-Z a-z 0-9 - _` (RFC 4648, section 5)
    Base64Url,
    /// `A-Z 2-7` (RFC 4648, section 6)
    Base32,
    /// `0-9 a-f`
    LowerHex,
    /// `0-9`
    Digits,
}

impl Alphabet {
    const ALL: [Self; 6] = [
        Self::Alphanumeric,
        Self::LowerAlphanumeric,
        Self::Base64Url,
        Self::Base32,
        Self::LowerHex,
        Self::Digits,
    ];

    const fn characters(self) -> &'static [u8] {
        match self {
            Self::Alphanumeric => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::LowerAlphanumeric => b"abcdefghijklmnopqrstuvwxyz0123456789",
            Self::Base64Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            Self::Base32 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            Self::LowerHex => b"0123456789abcdef",
            Self::Digits => b"0123456789",
        }
    }

    /// Maps bytes to characters, evenly: bytes beyond the last whole multiple are passed over.
    fn pick(self, bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = char> {
        let characters = self.characters();
        let even = 256 - 256 % characters.len();
        bytes
            .map(usize::from)
            .filter(move |byte| *byte < even)
            .map(move |byte| char::from(characters[byte % characters.len()]))
    }
}

/// What a vendor's secret looks like: literal text and random characters in turn.
///
/// It ends in at least 16 random characters, which leaves room for the tag.
///
/// ```
/// use moat_provider_core::{Alphabet, PlaceholderShape};
///
/// let classic = PlaceholderShape::prefixed("ghp_", Alphabet::Alphanumeric, 36);
/// let bot = PlaceholderShape::new()
///     .random(Alphabet::Digits, 10)
///     .literal(":")
///     .random(Alphabet::Base64Url, 35);
/// assert!(!classic.fits("gho_000000000000000000000000000000000000"));
/// assert!(bot.fits("1234567890:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceholderShape(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Random(Alphabet, usize),
}

impl PlaceholderShape {
    /// Begins an empty shape.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes the commonest shape: a prefix and random characters.
    #[must_use]
    pub fn prefixed(prefix: &str, alphabet: Alphabet, len: usize) -> Self {
        Self::new().literal(prefix).random(alphabet, len)
    }

    /// Makes a JSON Web Token (RFC 7519) with these claims and a signature that no key made, of the
    /// length of RS256 with a 3072 bit key.
    ///
    /// A placeholder has to stay the same when the credential is refreshed: claims must not depend
    /// on what a refresh changes, its expiry above all.
    #[must_use]
    pub fn jwt(claims: &Map<String, Value>) -> Self {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(Value::Object(claims.clone()).to_string());
        Self::prefixed(&format!("{header}.{claims}."), Alphabet::Base64Url, 512)
    }

    /// Adds literal text.
    #[must_use]
    pub fn literal(mut self, text: &str) -> Self {
        self.0.push(Part::Literal(text.to_owned()));
        self
    }

    /// Adds random characters.
    #[must_use]
    pub fn random(mut self, alphabet: Alphabet, len: usize) -> Self {
        self.0.push(Part::Random(alphabet, len));
        self
    }

    /// Whether a text has this shape.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let mut rest = text.as_bytes();
        for part in &self.0 {
            let tail = match part {
                Part::Literal(literal) => rest.strip_prefix(literal.as_bytes()),
                Part::Random(alphabet, len) => rest
                    .split_at_checked(*len)
                    .filter(|(head, _)| head.iter().all(|b| alphabet.characters().contains(b)))
                    .map(|(_, tail)| tail),
            };
            match tail {
                Some(tail) => rest = tail,
                None => return false,
            }
        }
        rest.is_empty()
    }

    fn tail(&self) -> Result<Alphabet> {
        match self.0.last() {
            Some(Part::Random(alphabet, len)) if *len >= MIN_TAIL => Ok(*alphabet),
            _ => Err(Error::invalid(format!(
                "a placeholder's shape ends in at least {MIN_TAIL} random characters"
            ))),
        }
    }
}

/// The host's key for placeholders: makes them, and tells its own from every other text.
///
/// One per host installation or process. Placeholders are a function of key, run, grant and label,
/// so a host that keeps the key can continue a run after a restart, and the same call always
/// returns the same placeholder (law L4).
#[derive(Clone)]
pub struct PlaceholderKey(Arc<Zeroizing<[u8; 32]>>);

impl PlaceholderKey {
    /// Draws a new key.
    ///
    /// # Errors
    ///
    /// Those of the port.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut())?;
        Ok(Self(Arc::new(bytes)))
    }

    /// Takes over a key that was kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Whether a text is a placeholder that this key made, for whichever run.
    ///
    /// A text of the same length by chance is one in 2⁴⁷ for letters and digits, and one in 10⁸ for
    /// digits alone.
    #[must_use]
    pub fn recognizes(&self, text: &str) -> bool {
        let Some(cut) = text.len().checked_sub(TAG_LEN) else {
            return false;
        };
        let Some((body, tag)) = text.split_at_checked(cut) else {
            return false;
        };
        let mac = self.mac(b"tag", &[body]);
        Alphabet::ALL.iter().any(|alphabet| tag_of(*alphabet, mac) == tag)
    }

    pub(crate) fn mint(
        &self,
        run: &RunId,
        grant: &CredentialKey,
        label: &str,
        shape: &PlaceholderShape,
    ) -> Result<Placeholder> {
        let tail = shape.tail()?;
        let grant = grant.to_string();
        let mut stream = (0_u32..).flat_map(|block| {
            self.mac(b"body", &[run.as_str(), &grant, label, &block.to_string()])
        });
        let mut text = String::new();
        for part in &shape.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Random(alphabet, len) => {
                    text.extend(alphabet.pick(&mut stream).take(*len));
                }
            }
        }
        text.truncate(text.len() - TAG_LEN);
        let tag = tag_of(tail, self.mac(b"tag", &[&text]));
        text.push_str(&tag);
        Ok(Placeholder(text.into()))
    }

    /// HMAC-SHA-256 over a domain and fields, each preceded by its length.
    fn mac(&self, domain: &[u8], fields: &[&str]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&**self.0).expect("any length");
        mac.update(b"moat placeholder ");
        mac.update(domain);
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

fn tag_of(alphabet: Alphabet, mac: [u8; 32]) -> String {
    let characters = alphabet.characters();
    let pairs = mac.chunks_exact(2).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
    pairs.map(|pair| char::from(characters[pair % characters.len()])).take(TAG_LEN).collect()
}

impl fmt::Debug for PlaceholderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceholderKey").finish_non_exhaustive()
    }
}
