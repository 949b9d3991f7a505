//! The first bytes of bodies, for records.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

/// The first bytes of a body: of a request's as the client sent it, before a secret is put in; of an
/// answer's as the client gets it, after secrets are masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodySample {
    bytes: Vec<u8>,
    more: bool,
}

impl BodySample {
    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the body is longer.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.more
    }

    pub(crate) fn take(&mut self, data: &[u8], limit: usize) {
        let left = limit.saturating_sub(self.bytes.len());
        let taken = data.len().min(left);
        self.bytes.extend_from_slice(&data[..taken]);
        self.more |= taken < data.len();
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "text": String::from_utf8_lossy(&self.bytes), "more": self.more })
    }
}

/// Whether a body is text that can be read as it is.
pub(crate) fn is_text(headers: &HeaderMap) -> bool {
    let coded = headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = media.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let subtype = media.split_once('/').map_or("", |(_, subtype)| subtype);
    let readable = ["json", "xml", "x-www-form-urlencoded", "graphql", "x-ndjson", "javascript"];
    !coded
        && (media.starts_with("text/")
            || readable.contains(&subtype)
            || subtype.ends_with("+json")
            || subtype.ends_with("+xml"))
}
