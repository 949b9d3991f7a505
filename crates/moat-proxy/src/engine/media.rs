//! What a body is, as far as its head says.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

/// The media types that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json` and everything with the suffix `+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/graphql`.
    Graphql,
    /// Another one, several, or none.
    Other,
}

impl Media {
    /// Reads the headers. A charset other than UTF-8 makes a body one that cannot be looked into.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Self::Other;
        };
        let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_readable = |charset: &str| {
            ["utf-8", "utf8", "us-ascii"].iter().any(|own| charset.eq_ignore_ascii_case(own))
        };
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("charset")
                && !is_readable(value.trim().trim_matches('"'))
            {
                return Self::Other;
            }
        }
        match essence.as_str() {
            "application/json" | "text/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "application/graphql" => Self::Graphql,
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// How a request may name another method than its own in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodField {
    /// In a field of a form, which Rack takes a body without a media type for, too.
    InForm,
    /// In a part of one that cannot be looked into.
    InParts,
}

impl MethodField {
    /// Reads the head of a request. Frameworks look there in `POST` alone.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        if !method.as_str().eq_ignore_ascii_case("POST") {
            return None;
        }
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        match (values.next(), values.next()) {
            (None, _) => Some(Self::InForm),
            (Some(value), None) => {
                let essence = value.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
                match essence.as_str() {
                    "" | "application/x-www-form-urlencoded" => Some(Self::InForm),
                    _ if essence.starts_with("multipart/") => Some(Self::InParts),
                    _ => None,
                }
            }
            _ => Some(Self::InParts),
        }
    }
}

/// Whether a body has a coding that has to be undone before it can be read.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        value.to_str().map_or(true, |value| {
            value
                .split(',')
                .map(str::trim)
                .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        })
    })
}

/// Returns the length of the body, when the head tells it.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Sets the length of a body that is sent as a whole.
pub(super) fn set_length(headers: &mut HeaderMap, len: usize) {
    headers.remove(TRANSFER_ENCODING);
    if len > 0 || headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, len.into());
    }
}
