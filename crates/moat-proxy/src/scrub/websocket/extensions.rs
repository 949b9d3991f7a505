//! Extensions of WebSocket connections (RFC 6455, section 9).

use std::fmt;

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

/// The one extension that can be scanned (RFC 7692).
const DEFLATE: &str = "permessage-deflate";

/// What the server does with its messages.
///
/// Its parameters do not matter to who decodes: a message that is compressed on its own, or within
/// a smaller window, is decoded as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// `permessage-deflate`.
    Deflate,
}

/// The server agreed to an extension whose frames cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnscannableExtension;

impl UnscannableExtension {
    /// Returns the stable code for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        "unscannable-websocket-extension"
    }
}

impl fmt::Display for UnscannableExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server agreed to a WebSocket extension that cannot be scanned")
    }
}

impl std::error::Error for UnscannableExtension {}

/// Returns a value of a request's `Sec-WebSocket-Extensions` with nothing but offers of
/// `permessage-deflate`, or `None` when it offers nothing else, and the header is to be removed.
#[must_use]
pub fn acceptable_extensions(value: &HeaderValue) -> Option<HeaderValue> {
    let offers = |text: &'_ str| split(text, ',').map(str::to_owned).collect::<Vec<_>>();
    let offers = offers(value.to_str().ok()?);
    let kept: Vec<&str> =
        offers.iter().map(String::as_str).filter(|offer| name(offer) == DEFLATE).collect();
    match kept.len() {
        0 => None,
        len if len == offers.len() => Some(value.clone()),
        _ => HeaderValue::from_str(&kept.join(", ")).ok(),
    }
}

/// Reads what an answer agrees to.
pub(super) fn agreed(headers: &HeaderMap) -> Result<Compression, UnscannableExtension> {
    let mut compression = Compression::None;
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let value = value.to_str().map_err(|_| UnscannableExtension)?;
        for extension in split(value, ',') {
            if name(extension) != DEFLATE || compression != Compression::None {
                return Err(UnscannableExtension);
            }
            compression = Compression::Deflate;
        }
    }
    Ok(compression)
}

fn name(extension: &str) -> String {
    split(extension, ';').next().unwrap_or_default().to_ascii_lowercase()
}

/// Splits outside of quotes, and drops empty parts.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_offers_that_can_be_scanned_are_kept() {
        let kept = |offer: &'static str| {
            acceptable_extensions(&HeaderValue::from_static(offer))
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let usual = "permessage-deflate; client_max_window_bits";
        assert_eq!(kept(usual).as_deref(), Some(usual));
        assert_eq!(
            kept("x-a;p=\"1,permessage-deflate\" , Permessage-Deflate;x=1,permessage-bzip2"),
            Some("Permessage-Deflate;x=1".to_owned())
        );
        assert_eq!(kept("permessage-bzip2"), None);
    }

    #[test]
    fn what_was_agreed_decides() {
        let agreed = |value: &'static str| {
            let headers = [(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(value))];
            agreed(&headers.into_iter().collect())
        };
        assert_eq!(agreed(""), Ok(Compression::None));
        let parameters = "Permessage-Deflate; server_no_context_takeover; p=\"a,b\"";
        assert_eq!(agreed(parameters), Ok(Compression::Deflate));
        assert_eq!(agreed("permessage-bzip2"), Err(UnscannableExtension));
        assert_eq!(agreed("permessage-deflate, x"), Err(UnscannableExtension));
    }
}
