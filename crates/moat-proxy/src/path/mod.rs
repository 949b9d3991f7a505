//! The path of a request, in every way in which a server may read it (law L8).

mod near;
mod readings;

use http::Method;
use moat_provider_core::{PathPattern, Target};

pub(crate) use self::near::{NearPath, NearPattern};
use self::readings::{Readings, closure, percent, remove_dot_segments, rewrite};
use crate::{Authority, Reason, Refusal};

/// Keys of a query by which frameworks and vendors let a client change the method: Rack and
/// Laravel, Salesforce, Firebase, all of Google's ("System parameters" in its docs of Cloud APIs,
/// which has one for other headers too).
const METHOD_KEYS: [&str; 6] = [
    "_method",
    "_httpmethod",
    "$httpmethod",
    "$httpheaders",
    "x-http-method-override",
    "x-method-override",
];

/// The path of one request. The bytes that go to the server stay those that the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath {
    canonical: String,
    others: Vec<String>,
    exhausted: bool,
    ambiguity: Option<Ambiguity>,
    overrides_method: bool,
}

impl RequestPath {
    /// Reads the target of a request: a path, and a query if there is one.
    ///
    /// # Errors
    ///
    /// [`Reason::PathMalformed`] when it does not begin with a slash, or holds white space, a
    /// control character or a number sign. Bytes outside ASCII are taken: clients send them.
    pub fn parse(target: &[u8]) -> Result<Self, Refusal> {
        let mut parts = target.splitn(2, |byte| *byte == b'?');
        let path = parts.next().filter(|path| !path.is_empty()).unwrap_or(b"/");
        let overrides_method = parts.next().is_some_and(overrides_method);
        let odd = |byte: &u8| *byte == b'#' || *byte == b' ' || byte.is_ascii_control();
        let problem = match path {
            [b'/', ..] if !path.iter().any(odd) => None,
            [b'/', ..] => Some("holds white space, a control character or a number sign"),
            _ => Some("does not begin with a slash"),
        };
        if let Some(problem) = problem {
            return Err(Refusal::new(Reason::PathMalformed).about(path).because(problem));
        }
        let read = if is_plain(path) { Self::plain(path) } else { Self::read(path) };
        Ok(Self { overrides_method, ..read })
    }

    /// A path that has one reading: itself.
    fn plain(path: &[u8]) -> Self {
        Self {
            canonical: show(path),
            others: Vec::new(),
            exhausted: false,
            ambiguity: None,
            overrides_method: false,
        }
    }

    /// Any path, in all its readings.
    fn read(path: &[u8]) -> Self {
        // Decoding a part of `%4%61` would make a sequence that the client did not send.
        let broken = has_broken_percent(path);
        let plain = if broken { path.to_vec() } else { decode_unreserved(path) };
        let mut canonical = remove_dot_segments(&plain);
        if broken && !has_broken_percent(&canonical) {
            // What was broken is gone with a dot segment.
            canonical = remove_dot_segments(&decode_unreserved(&canonical));
        }
        let shown = show(&canonical);
        let ambiguity = Ambiguity::of(&plain, broken);
        let Readings { paths, exhausted } = match ambiguity {
            None => Readings { paths: Vec::new(), exhausted: false },
            Some(_) => closure([canonical, plain]),
        };
        let mut others: Vec<String> = Vec::new();
        for other in paths.iter().map(|path| show(path)) {
            if other != shown && !others.contains(&other) {
                others.push(other);
            }
        }
        let ambiguity = ambiguity.filter(|_| exhausted || !others.is_empty());
        Self { canonical: shown, others, exhausted, ambiguity, overrides_method: false }
    }

    /// Returns the canonical path: letters, digits and `-._~` decoded, other sequences in upper
    /// case, dot segments resolved (RFC 3986, sections 6.2.2 and 5.2.4), without the query.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Iterates over the readings, the canonical one first. Bytes that no pattern can name are
    /// percent sequences, a percent sign that is left over stays one.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.canonical.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// Why there are several readings; `None` when there is one.
    #[must_use]
    pub const fn ambiguity(&self) -> Option<Ambiguity> {
        self.ambiguity
    }

    /// Whether the query has a key by which some servers let a client change the method.
    #[must_use]
    pub const fn overrides_method(&self) -> bool {
        self.overrides_method
    }

    /// Whether a request for this path goes to a target, in every reading or only in some.
    ///
    /// Where the query may override the method, a target that names methods is at best ambiguous.
    #[must_use]
    pub fn matches(&self, target: &Target, authority: &Authority, method: &Method) -> Match {
        let (host, port) = (authority.host().as_text(), authority.port());
        if !target.host_pattern().matches(&host, port) {
            return Match::No;
        }
        match (target.method_names(), self.overrides_method) {
            (None, _) => self.fits(target.path_pattern()),
            (Some(_), true) => self.fits(target.path_pattern()).at_best_ambiguous(),
            (Some(names), false) if names.iter().any(|name| name == method.as_str()) => {
                self.fits(target.path_pattern())
            }
            (Some(_), false) => Match::No,
        }
    }

    fn fits(&self, pattern: &PathPattern) -> Match {
        self.agree(pattern, |reading| pattern.matches(reading))
    }

    /// Whether all readings pass a test that depends on nothing but a pattern.
    pub(crate) fn agree(&self, pattern: &PathPattern, test: impl Fn(&str) -> bool) -> Match {
        if *pattern == PathPattern::any() {
            return Match::Yes;
        }
        let yes = test(&self.canonical);
        if self.exhausted || self.others.iter().any(|reading| test(reading) != yes) {
            Match::Ambiguous
        } else if yes {
            Match::Yes
        } else {
            Match::No
        }
    }

    /// Refuses the request when it is open whether one of these targets is meant.
    ///
    /// # Errors
    ///
    /// [`Reason::PathAmbiguous`], or [`Reason::MethodAmbiguous`] when the path is clear.
    pub fn check<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a Target>,
        authority: &Authority,
        method: &Method,
    ) -> Result<(), Refusal> {
        match targets
            .into_iter()
            .find(|target| self.matches(target, authority, method) == Match::Ambiguous)
        {
            Some(target) => Err(self.refusal().rule(target)),
            None => Ok(()),
        }
    }

    /// The refusal of a request that is ambiguous for a rule.
    pub(crate) fn refusal(&self) -> Refusal {
        match self.ambiguity {
            Some(ambiguity) => Refusal::new(Reason::PathAmbiguous)
                .about(&self.canonical)
                .because(ambiguity.message()),
            None => Refusal::new(Reason::MethodAmbiguous),
        }
    }
}

/// Whether a request goes to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// In every reading.
    Yes,
    /// In none.
    No,
    /// In some. Such a request is refused.
    Ambiguous,
}

impl Match {
    pub(crate) const fn at_best_ambiguous(self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes | Self::Ambiguous => Self::Ambiguous,
        }
    }
}

/// Why a path has several readings.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ambiguity {
    /// `/../`, raw or encoded.
    DotSegment,
    /// `%2F`
    EncodedSlash,
    /// A backslash, raw or encoded.
    Backslash,
    /// `//`
    EmptySegment,
    /// `;`
    Parameters,
    /// A NUL or another control character.
    Control,
    /// `%25`
    DoubleEncoding,
    /// A percent sign without two digits.
    BrokenEncoding,
    /// A dot or a space at the end of a segment.
    TrailingDot,
    /// A character outside ASCII, raw or encoded.
    NotAscii,
    /// Another character that is encoded and has a meaning of its own when it is not.
    EncodedDelimiter,
}

impl Ambiguity {
    /// Returns the end of a sentence about the path.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::DotSegment => "was sent with dot segments",
            Self::EncodedSlash => "was sent with an encoded slash",
            Self::Backslash => "was sent with a backslash",
            Self::EmptySegment => "was sent with two slashes in a row",
            Self::Parameters => "was sent with path parameters",
            Self::Control => "was sent with an encoded control character",
            Self::DoubleEncoding => "was sent with an encoded percent sign",
            Self::BrokenEncoding => "was sent with a percent sign without two digits",
            Self::TrailingDot => "was sent with a segment that ends in a dot or space",
            Self::NotAscii => "was sent with characters outside ASCII",
            Self::EncodedDelimiter => "was sent with an encoded delimiter",
        }
    }

    /// Why a path, its unreserved characters decoded, may have several readings.
    fn of(plain: &[u8], broken: bool) -> Option<Self> {
        let mut segments = plain.split(|byte| *byte == b'/');
        let encoded = |test: &dyn Fn(u8) -> bool| {
            (0..plain.len()).any(|at| percent(&plain[at..]).is_some_and(test))
        };
        let has = |byte: u8| plain.contains(&byte) || encoded(&|other| other == byte);
        let ends_odd = |segment: &[u8]| segment.ends_with(b".") || segment.ends_with(b"%20");
        let found = [
            (segments.any(|segment| segment == b"." || segment == b".."), Self::DotSegment),
            (encoded(&|byte| byte == b'/'), Self::EncodedSlash),
            (has(b'\\'), Self::Backslash),
            (plain.windows(2).any(|pair| pair == b"//"), Self::EmptySegment),
            (has(b';'), Self::Parameters),
            (encoded(&|byte| byte.is_ascii_control()), Self::Control),
            (encoded(&|byte| byte == b'%'), Self::DoubleEncoding),
            (broken, Self::BrokenEncoding),
            (plain.split(|byte| *byte == b'/').any(ends_odd), Self::TrailingDot),
            (!plain.is_ascii() || encoded(&|byte| !byte.is_ascii()), Self::NotAscii),
            (plain.contains(&b'%'), Self::EncodedDelimiter),
        ];
        found.into_iter().find_map(|(is, ambiguity)| is.then_some(ambiguity))
    }
}

/// Whether nothing in a path can be read in another way, as is so for almost all of them.
fn is_plain(path: &[u8]) -> bool {
    let has_odd = path.iter().any(|byte| !byte.is_ascii_graphic() || b"%;\\".contains(byte));
    let has_odd_pair = path.windows(2).any(|pair| pair == b"//" || pair == b"./");
    !has_odd && !has_odd_pair && !path.ends_with(b".")
}

fn has_broken_percent(path: &[u8]) -> bool {
    path.iter().enumerate().any(|(at, byte)| *byte == b'%' && percent(&path[at..]).is_none())
}

/// Decodes what means the same encoded or not, and writes other sequences in upper case (RFC 3986,
/// section 6.2.2).
fn decode_unreserved(path: &[u8]) -> Vec<u8> {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let mut out = rewrite(path, |rest| percent(rest).filter(unreserved).map(|byte| (byte, 3)));
    for at in 0..out.len() {
        if percent(&out[at..]).is_some() {
            out[at + 1..at + 3].make_ascii_uppercase();
        }
    }
    out
}

/// A reading as text. Bytes that a pattern cannot hold are escaped: as a character of the text they
/// could be told apart from their percent sequence, which no rule can do.
fn show(path: &[u8]) -> String {
    let mut shown = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_graphic() {
            shown.push(char::from(*byte));
        } else {
            shown.push_str(&format!("%{byte:02X}"));
        }
    }
    shown
}

/// Whether a query, or a form, has a key by which some servers let a client change the method.
pub(crate) fn overrides_method(query: &[u8]) -> bool {
    query.split(|byte| b"&;".contains(byte)).any(|pair| {
        let key = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
        let key = rewrite(key, |rest| percent(rest).map(|byte| (byte, 3)));
        // As PHP does, which makes variables of the keys.
        let key = rewrite(&key, |rest| b". [+".contains(&rest[0]).then_some((b'_', 1)));
        METHOD_KEYS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&key))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_has_itself_as_its_only_reading(path in "/[a-c./;%\\\\ 2eEfF~é+]{0,8}") {
            if is_plain(path.as_bytes()) {
                prop_assert_eq!(RequestPath::plain(path.as_bytes()), RequestPath::read(path.as_bytes()));
            }
        }
    }

    #[test]
    fn ordinary_paths_are_plain() {
        for path in ["/", "/v1/messages", "/repos/a.b/c-d/", "/a/.well-known/x~1@2:3"] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
        for path in ["/a/../b", "/a.", "//", "/a/./b", "/%41", "/a;b", "/a\\b", "/\u{e9}"] {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
    }
}
