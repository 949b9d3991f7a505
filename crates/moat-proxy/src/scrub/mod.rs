//! Scrubbing of answers: no secret that a host was sent comes back from it (law L11).
//!
//! A [`Scrubber`] is built once for each generation of secrets, and makes one stream for each body
//! or WebSocket. The streams are pure: bytes go in, bytes that may be passed on come out, and
//! nothing waits. Answers from hosts to which no secret may be sent are not scrubbed: a masked
//! echo would tell the container that its guess was right.
//!
//! # What is looked for
//!
//! Each secret as it is, in base64 (both alphabets, at each of the three alignments, so the
//! `user:secret` of Basic credentials is found as well), in hexadecimal, percent-encoded and as
//! JSON's serialisers escape it. The characters of base64 at either end that also depend on what
//! stands around the secret are left alone; they hold less than one byte of it each.
//!
//! A vendor's public prefix (`ghp_`) is not masked: it says what stood there, and it lets almost
//! all text pass without a byte being held back.
//!
//! # What happens to a match
//!
//! Where the bytes are not compressed, all of the secret but its public prefix is overwritten with
//! `*`, so that the length stays what was announced. Digests of the content that the vendor sent
//! along (`ETag`, `Repr-Digest`) are then wrong, and rightly so. A compressed stream cannot be
//! changed in place: a decoded copy is scanned, and the stream is [`Cut`] before the bytes that
//! complete the secret are passed on.
//!
//! # What scrubbing cannot see
//!
//! It is a defence in depth against echoes, error pages and debug output, not a boundary. It does
//! not see a secret that is
//!
//! - *transformed*: encrypted, hashed, reversed, in another character set (UTF-16, EBCDIC), in
//!   another encoding (base32, uuencode), encoded twice (JSON within JSON, base64 of base64,
//!   percent-encoded base64), in hexadecimal with separators, in base64 with line breaks, or in a
//!   mix of escapes that no common serialiser writes;
//! - *split*: over several events, messages, headers, answers or ranges of one resource, or with
//!   anything in between;
//! - *shortened*: a part of a secret passes, and so does a secret of less than
//!   [`Scrubber::SHORTEST`] bytes, which [`Scrubber::unscrubbed`] reports;
//! - in the *name* of a header, or in a coding that cannot be undone, which
//!   [`Found::unscanned`] reports.
//!
//! What a vendor *derives* from a secret and hands out (a session, a signed URL) is another
//! secret, which nobody here knows. That an answer is masked or cut can be seen by who reads it.
//!
//! The automaton holds every form of every secret in memory that is not wiped when it is dropped.

mod automaton;
mod body;
mod coded;
mod coding;
mod decode;
mod forms;
mod found;
mod grpc;
mod output;
mod stream;
mod websocket;
mod whole;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use moat_provider_core::{Error, Result, Secret, SecretRef};

use self::automaton::{Automaton, Cursor, Pattern};
pub use self::body::BodyScrub;
pub use self::coding::{acceptable_codings, restrict_accept_encoding};
pub use self::found::{Form, Found, Hit, Place};
pub use self::output::{Cut, Output};
pub use self::stream::ScrubStream;
pub use self::websocket::{UnscannableExtension, WebSocketScrub, acceptable_extensions};
pub use self::whole::decode_whole;

/// What a secret is overwritten with. It means nothing in JSON, HTML, URLs and headers, and is in
/// no alphabet of base64 or hexadecimal, so nothing decodes it to something else.
const MASK: u8 = b'*';

/// Knows all forms of all secrets of one generation. Cheap to clone.
#[derive(Clone)]
pub struct Scrubber(Arc<Inner>);

struct Inner {
    automaton: Automaton,
    secrets: Vec<SecretRef>,
    unscrubbed: Vec<Unscrubbed>,
}

impl Scrubber {
    /// The length in bytes from which on a secret is scrubbed.
    ///
    /// Less would mask ordinary text by accident, and would tell a container that asks a vendor to
    /// echo guesses which of them is right: 4 digits are guessed in one answer of 40 kB.
    pub const SHORTEST: usize = 8;
    /// The length in bytes up to which a secret is scrubbed.
    pub const LONGEST: usize = 8 * 1024;

    /// Begins with no secrets.
    #[must_use]
    pub fn builder() -> ScrubberBuilder {
        ScrubberBuilder { secrets: Vec::new(), written: Vec::new(), unscrubbed: Vec::new() }
    }

    /// Whether there is no secret to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.automaton.is_empty()
    }

    /// Returns the secrets that are not looked for.
    #[must_use]
    pub fn unscrubbed(&self) -> &[Unscrubbed] {
        &self.0.unscrubbed
    }

    /// Masks the values of a head or of trailers, whatever their names are.
    pub fn scrub_headers(&self, headers: &mut HeaderMap, place: Place) -> Found {
        let mut found = Found::default();
        for value in headers.values_mut() {
            if let Some(masked) = self.mask(value.as_bytes(), place, &mut found) {
                // `*` is a visible character: the value stays a valid one.
                let mut masked =
                    HeaderValue::from_bytes(&masked).unwrap_or(HeaderValue::from_static(""));
                masked.set_sensitive(value.is_sensitive());
                *value = masked;
            }
        }
        found
    }

    /// Masks a text that is there as a whole; `None` when there is nothing to mask.
    fn mask(&self, text: &[u8], place: Place, found: &mut Found) -> Option<Vec<u8>> {
        if text.len() < self.0.automaton.shortest() {
            return None;
        }
        let mut masked = None;
        self.scan(self.start(), text, |end, pattern| {
            self.note(pattern, place, found);
            let masked = masked.get_or_insert_with(|| text.to_vec());
            masked[end.saturating_sub(pattern.masked)..end].fill(MASK);
        });
        masked
    }

    fn note(&self, pattern: &Pattern, place: Place, found: &mut Found) {
        if let Some(secret) = self.0.secrets.get(pattern.secret) {
            found.add(secret, pattern.form, place, 1);
        }
    }

    fn start(&self) -> Cursor {
        self.0.automaton.start()
    }

    fn scan(&self, cursor: Cursor, text: &[u8], found: impl FnMut(usize, &Pattern)) -> Cursor {
        self.0.automaton.scan(cursor, text, found)
    }

    fn held(&self, cursor: Cursor) -> usize {
        self.0.automaton.held(cursor)
    }

    fn sure(&self, cursor: Cursor) -> usize {
        self.0.automaton.sure(cursor)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("secrets", &self.0.secrets).finish_non_exhaustive()
    }
}

/// Collects the secrets of a [`Scrubber`].
pub struct ScrubberBuilder {
    secrets: Vec<SecretRef>,
    written: Vec<(usize, forms::Written)>,
    unscrubbed: Vec<Unscrubbed>,
}

impl ScrubberBuilder {
    /// Adds a secret under the name that records show. White space at its end is not looked for:
    /// hardly anything that echoes a file keeps it.
    ///
    /// `public` is the length in bytes of the vendor's public prefix, such as
    /// [`public_prefix_len`] tells it. It is shortened until [`Scrubber::SHORTEST`] bytes are left.
    #[must_use]
    pub fn secret(mut self, name: SecretRef, secret: &Secret, public: usize) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "its forms are what answers are searched for; they stay in the automaton"
        )]
        let text = secret.expose().trim_end();
        let why = match text.len() {
            len if len < Scrubber::SHORTEST => Some(WhyUnscrubbed::TooShort),
            len if len > Scrubber::LONGEST => Some(WhyUnscrubbed::TooLong),
            _ => None,
        };
        if let Some(why) = why {
            self.unscrubbed.push(Unscrubbed { secret: name, why });
            return self;
        }
        let mut public = public.min(text.len() - Scrubber::SHORTEST);
        while !text.is_char_boundary(public) {
            public -= 1;
        }
        let index = self.secrets.len();
        self.secrets.push(name);
        self.written.extend(forms::all(text, public).into_iter().map(|written| (index, written)));
        self
    }

    /// Builds the automaton: some 30 states for each byte of a secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the secrets
    /// are too many.
    pub fn build(self) -> Result<Scrubber> {
        let mut written = self.written;
        let mut seen = HashSet::new();
        let new: Vec<bool> =
            written.iter().map(|(_, written)| seen.insert(written.bytes.as_slice())).collect();
        let mut new = new.into_iter();
        written.retain(|_| new.next().unwrap_or(true));
        debug_assert!(written.iter().all(|(_, form)| form.bytes.len() <= automaton::LONGEST));
        let automaton = Automaton::new(&written)
            .ok_or_else(|| Error::invalid("there are too many secrets to scrub answers of"))?;
        let (secrets, unscrubbed) = (self.secrets, self.unscrubbed);
        Ok(Scrubber(Arc::new(Inner { automaton, secrets, unscrubbed })))
    }
}

impl fmt::Debug for ScrubberBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubberBuilder").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

/// Returns how many bytes a secret has in common with its placeholder: the vendor's public prefix,
/// for placeholders are drawn in the vendor's shape.
#[must_use]
pub fn public_prefix_len(placeholder: &str, secret: &Secret) -> usize {
    #[expect(clippy::disallowed_methods, reason = "compared with a text that is public")]
    let secret = secret.expose();
    secret.bytes().zip(placeholder.bytes()).take_while(|(one, other)| one == other).count()
}

/// A secret that is not looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscrubbed {
    secret: SecretRef,
    why: WhyUnscrubbed,
}

impl Unscrubbed {
    /// Returns which one.
    #[must_use]
    pub fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// Returns why.
    #[must_use]
    pub fn why(&self) -> WhyUnscrubbed {
        self.why
    }
}

/// Why a secret is not looked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhyUnscrubbed {
    /// It has less than [`Scrubber::SHORTEST`] bytes.
    TooShort,
    /// It has more than [`Scrubber::LONGEST`] bytes.
    TooLong,
}

impl WhyUnscrubbed {
    /// Returns the stable code for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "secret-too-short-to-scrub",
            Self::TooLong => "secret-too-long-to-scrub",
        }
    }
}
