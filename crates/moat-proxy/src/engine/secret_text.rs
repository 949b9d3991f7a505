//! Writing a secret where it belongs: the only places of the engine that see its text.

use http::HeaderValue;
use moat_provider_core::{Error, Placeholder, Result, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// What a path segment may hold as it is and no server splits at (RFC 3986, section 3.3).
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');

/// What a query and a form may hold as it is: the unreserved characters (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a secret as part of a path segment.
#[expect(clippy::disallowed_methods, reason = "the part of the path that goes to the vendor")]
pub(super) fn in_segment(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(utf8_percent_encode(secret.expose(), SEGMENT).to_string())
}

/// Encodes a secret as a value of a query or a form.
#[expect(clippy::disallowed_methods, reason = "the value that goes to the vendor")]
pub(super) fn in_query(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(utf8_percent_encode(secret.expose(), UNRESERVED).to_string())
}

/// Encodes a secret as a JSON string.
#[expect(clippy::disallowed_methods, reason = "the string that goes to the vendor")]
pub(super) fn in_json(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(secret.expose()).to_string())
}

/// Makes a header's value of a secret, behind a scheme word if there is one.
///
/// # Errors
///
/// When the secret has bytes that a header cannot carry.
#[expect(clippy::disallowed_methods, reason = "the value that goes to the vendor")]
pub(super) fn header(scheme: Option<&str>, secret: &Secret) -> Result<HeaderValue> {
    let secret = secret.expose();
    let text = Zeroizing::new(match scheme {
        Some(scheme) => format!("{scheme} {secret}"),
        None => secret.to_owned(),
    });
    let mut value = HeaderValue::from_str(&text)
        .ok()
        .filter(|value| value.to_str().is_ok())
        .ok_or_else(|| Error::invalid("the secret has bytes that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes the name of a subprotocol of a secret, behind a prefix.
#[expect(clippy::disallowed_methods, reason = "the subprotocol that goes to the vendor")]
pub(super) fn subprotocol(prefix: &str, secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(format!("{prefix}{}", secret.expose()))
}

/// Whether a secret can stand in the name of a subprotocol.
#[expect(clippy::disallowed_methods, reason = "looks at the kinds of characters alone")]
pub(super) fn is_token(secret: &Secret) -> bool {
    super::carried::is_token(secret.expose())
}

/// Replaces what is left of a secret in text by its placeholder; `None` when there is nothing.
#[expect(clippy::disallowed_methods, reason = "takes the secret out of an answer")]
pub(super) fn take_out(text: &str, secret: &Secret, placeholder: &Placeholder) -> Option<String> {
    // Shorter ones occur by chance: `none`, `true`.
    const LEAST: usize = 8;
    let secret = secret.expose();
    (secret.len() >= LEAST && text.contains(secret))
        .then(|| text.replace(secret, placeholder.as_str()))
}
