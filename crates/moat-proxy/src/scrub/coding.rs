//! Names of content codings: which can be undone, and which a client may ask for.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A content coding that can be undone (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// How a body is coded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Codings {
    Identity,
    /// In the order in which they are undone.
    Known(Vec<Coding>),
    /// The bytes are scanned as they are; the text says what hides them.
    Unknown(String),
}

/// More codings than this around one another are taken for an attack on the decoder.
const MOST: usize = 3;

impl Codings {
    /// Reads `Content-Encoding` of an answer.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap) -> Self {
        let codings = Self::of(headers.get_all(CONTENT_ENCODING));
        // A part of a coded representation begins anywhere in it (RFC 9110, section 14.2).
        if status == StatusCode::PARTIAL_CONTENT && codings != Self::Identity {
            return Self::Unknown("part of a coded content".to_owned());
        }
        codings
    }

    /// Reads the coding of single messages, as gRPC names it.
    pub(super) fn of_message(value: Option<&HeaderValue>) -> Self {
        Self::of(value)
    }

    fn of<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let mut known = Vec::new();
        for value in values {
            let Ok(value) = value.to_str() else {
                return Self::Unknown("not a token".to_owned());
            };
            for name in members(value) {
                match Coding::named(name) {
                    Some(coding) => known.push(coding),
                    None if name.eq_ignore_ascii_case("identity") => {}
                    None => return Self::Unknown(name.to_owned()),
                }
            }
        }
        known.reverse();
        match known.len() {
            0 => Self::Identity,
            1..=MOST => Self::Known(known),
            _ => Self::Unknown("many codings".to_owned()),
        }
    }
}

/// The members of a list (RFC 9110, section 5.6.1).
fn members(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|member| !member.is_empty())
}

/// Returns a value of `Accept-Encoding` or `grpc-accept-encoding` without the codings that cannot
/// be scanned: what is left is `gzip`, `deflate`, `br`, `zstd` and `identity`, with their weights.
///
/// `*` asks for anything, so it goes too, unless it is the `*;q=0` that forbids the rest. A value
/// that needs no change comes back as it was, and one of which nothing is left becomes `identity`.
#[must_use]
pub fn acceptable_codings(value: &HeaderValue) -> HeaderValue {
    const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
    let Ok(text) = value.to_str() else {
        return IDENTITY;
    };
    if members(text).all(is_acceptable) {
        return value.clone();
    }
    let kept: Vec<&str> = members(text).filter(|member| is_acceptable(member)).collect();
    if kept.is_empty() {
        return IDENTITY;
    }
    HeaderValue::from_str(&kept.join(", ")).unwrap_or(IDENTITY)
}

fn is_acceptable(member: &str) -> bool {
    let (name, parameters) = member.split_once(';').unwrap_or((member, ""));
    match name.trim() {
        "*" => weighs_nothing(parameters),
        name => name.eq_ignore_ascii_case("identity") || Coding::named(name).is_some(),
    }
}

/// RFC 9110, section 12.4.2: `q=0`, `q=0.000`.
fn weighs_nothing(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        parameter.trim().split_once('=').is_some_and(|(name, weight)| {
            name.trim().eq_ignore_ascii_case("q")
                && weight.trim().starts_with('0')
                && weight.trim().bytes().all(|byte| byte == b'0' || byte == b'.')
        })
    })
}

/// Makes the head of a request ask for nothing that cannot be scanned; says whether it had to be
/// changed.
///
/// [`acceptable_codings`] for every `Accept-Encoding`. A request for a range asks for `identity`:
/// a part of a coded content cannot be undone. To be called before a request is signed.
pub fn restrict_accept_encoding(headers: &mut HeaderMap) -> bool {
    if headers.contains_key(RANGE) {
        let identity = HeaderValue::from_static("identity");
        return headers.insert(ACCEPT_ENCODING, identity.clone()) != Some(identity);
    }
    let asks = |name: &HeaderName| {
        let name = name.as_str();
        matches!(name, "accept-encoding" | "grpc-accept-encoding" | "connect-accept-encoding")
    };
    let mut changed = false;
    for (_, value) in headers.iter_mut().filter(|(name, _)| asks(name)) {
        let acceptable = acceptable_codings(value);
        changed |= acceptable != *value;
        *value = acceptable;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, values: &[&'static str]) -> Codings {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Codings::of_answer(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn codings_are_undone_in_reverse_order() {
        assert_eq!(of(200, &[]), Codings::Identity);
        assert_eq!(of(200, &["identity", " , "]), Codings::Identity);
        assert_eq!(of(200, &["X-GZIP"]), Codings::Known(vec![Coding::Gzip]));
        assert_eq!(
            of(200, &["gzip, br", "zstd"]),
            Codings::Known(vec![Coding::Zstd, Coding::Brotli, Coding::Gzip])
        );
    }

    #[test]
    fn what_cannot_be_undone_is_named() {
        assert_eq!(of(200, &["gzip, dcb"]), Codings::Unknown("dcb".to_owned()));
        assert!(matches!(of(206, &["gzip"]), Codings::Unknown(_)));
        assert_eq!(of(206, &[]), Codings::Identity);
        assert!(matches!(of(200, &["br, br, br, br"]), Codings::Unknown(_)));
    }
}
