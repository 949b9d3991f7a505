//! The canonical form of a request.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::HOST;
use http::request;

use super::Scope;

/// Whether a slash stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    /// In a path.
    Kept,
    /// Everywhere else.
    Encoded,
}

/// Encodes text as AWS does: all but unreserved characters (RFC 3986, section 2.3) becomes
/// `%` and two upper-case digits.
pub(crate) fn encode(bytes: &[u8], slash: Slash) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let plain = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || (byte == b'/' && slash == Slash::Kept);
        if plain {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Undoes percent encoding. A percent sign that begins none stands for itself.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok())
    };
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            (byte, _, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

/// Splits a query or a form into names and values, as they are written.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// How a client writes the names and values of a query into the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryStyle {
    /// As they stand in the URL (botocore).
    Raw,
    /// Decoded, and encoded anew (the specification, most other SDKs).
    Recoded,
}

impl QueryStyle {
    pub(super) const ALL: [Self; 2] = [Self::Recoded, Self::Raw];

    /// Returns the canonical query string.
    pub(super) fn canonical<'q>(self, pairs: impl Iterator<Item = (&'q str, &'q str)>) -> String {
        let mut pairs: Vec<(Cow<'q, str>, Cow<'q, str>)> = pairs
            .map(|(name, value)| match self {
                Self::Raw => (Cow::Borrowed(name), Cow::Borrowed(value)),
                Self::Recoded => (recoded(name).into(), recoded(value).into()),
            })
            .collect();
        pairs.sort();
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&name);
            text.push('=');
            text.push_str(&value);
        }
        text
    }
}

/// A plus sign in a query is a space, as in forms.
fn recoded(text: &str) -> String {
    encode(&decoded(&text.replace('+', "%20")), Slash::Encoded)
}

/// One canonical form of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CanonicalPath {
    /// As a client may have signed it.
    pub(super) signed: String,
    /// As it is signed anew.
    pub(super) anew: String,
}

/// Returns the canonical forms that a path may have, the commonest first.
///
/// S3: the path as it is on the wire, or decoded and encoded anew. Others: encoded once more, dot
/// segments and doubled slashes resolved, or left as they are; or not encoded again, as curl does
/// (7.88), which AWS refuses: that form is not signed anew.
pub(super) fn paths(scope: &Scope, raw: &str) -> Vec<CanonicalPath> {
    let raw = if raw.is_empty() { "/" } else { raw };
    let same = |path: String| CanonicalPath { signed: path.clone(), anew: path };
    let mut paths = if scope.has_plain_paths() {
        vec![same(raw.to_owned()), same(encode(&decoded(raw), Slash::Kept))]
    } else {
        let again = |path: &str| encode(path.as_bytes(), Slash::Kept);
        let usual = again(&normalized(raw));
        let once = CanonicalPath { signed: normalized(raw), anew: usual.clone() };
        vec![same(usual), same(again(raw)), once]
    };
    paths.dedup();
    paths
}

/// Resolves dot segments and doubled slashes (RFC 3986, section 5.2.4), but as botocore does: only
/// a slash at the end makes one.
fn normalized(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/"))
}

/// Returns a header as the canonical form has it, without white space around and in between, and
/// several of one name joined by commas; `None` when there is none, or it is not text.
pub(super) fn header_value(head: &request::Parts, name: &str) -> Option<String> {
    let mut joined: Option<String> = None;
    for value in head.headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes()).ok()?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let one = words.join(" ");
        joined = Some(match joined {
            None => one,
            Some(before) => format!("{before},{one}"),
        });
    }
    match joined {
        None if name == HOST.as_str() => head.uri.authority().map(|host| host.as_str().to_owned()),
        joined => joined,
    }
}

/// Writes the header lines and the list of their names, in the order given; `None` when one is not
/// there.
pub(super) fn headers(
    names: &[String],
    value: impl Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let mut lines = String::new();
    for name in names {
        let _ = writeln!(lines, "{name}:{}", value(name)?);
    }
    Some((lines, names.join(";")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(service: &str) -> Scope {
        Scope { day: "20261128".into(), region: "us-east-1".into(), service: service.into() }
    }

    fn signed(service: &str, path: &str) -> Vec<String> {
        paths(&scope(service), path).into_iter().map(|path| path.signed).collect()
    }

    #[test]
    fn s3_paths_stay_as_they_are() {
        for path in ["/a//b/../c", "/a%20b/%C3%A9", "/", "/a+b", "/x/"] {
            assert_eq!(signed("s3", path)[0], path);
        }
        assert_eq!(signed("s3", "/a+b")[1], "/a%2Bb");
        assert_eq!(signed("s3", ""), ["/"]);
    }

    #[test]
    fn other_paths_are_encoded_again() {
        assert_eq!(signed("es", "/a%20b")[0], "/a%2520b");
        assert_eq!(signed("es", "/a//b/../c/")[0], "/a/c/");
        assert_eq!(signed("es", "/a//b/../c/")[1], "/a//b/../c/");
        assert_eq!(signed("es", "/.."), ["/", "/..", "/"]);
    }

    #[test]
    fn a_path_that_a_client_encodes_once_is_signed_as_aws_has_it() {
        let paths = paths(&scope("es"), "/a%20b");
        let once = paths.iter().find(|path| path.signed == "/a%20b").unwrap();
        assert_eq!(once.anew, "/a%2520b");
    }

    #[test]
    fn queries_are_sorted_by_what_is_written() {
        let query = "b=2&a=%7E&a=%20x&A&c=1+2&prefix=a%2fb";
        let canonical = |style: QueryStyle| style.canonical(pairs(query));
        assert_eq!(canonical(QueryStyle::Raw), "A=&a=%20x&a=%7E&b=2&c=1+2&prefix=a%2fb");
        assert_eq!(canonical(QueryStyle::Recoded), "A=&a=%20x&a=~&b=2&c=1%202&prefix=a%2Fb");
    }

    #[test]
    fn a_lone_percent_sign_stands_for_itself() {
        assert_eq!(decoded("100%"), b"100%");
        assert_eq!(decoded("%zz%4"), b"%zz%4");
        assert_eq!(decoded("%41%6a"), b"Aj");
    }
}
