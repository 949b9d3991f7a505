//! How a header's value is made from a secret.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::{Error, Result, Secret};

/// How a header's value is made from a secret.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HeaderTemplate {
    /// `Bearer <secret>` (RFC 6750, section 2.1).
    Bearer,
    /// `Basic <base64 of user:secret>` (RFC 7617). The user holds no colon.
    Basic {
        /// The user name.
        user: Cow<'static, str>,
    },
    /// A literal, then the secret: `token <secret>` has the prefix `"token "`.
    Prefix(Cow<'static, str>),
    /// The secret alone.
    Raw,
}

impl HeaderTemplate {
    /// Makes the value, marked as sensitive so that `Debug` and HPACK leave it out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the secret has bytes that a
    /// header cannot carry, or the user name has a colon. The message does not show the secret.
    #[expect(clippy::disallowed_methods, reason = "the value that goes to the vendor")]
    pub fn render(&self, secret: &Secret) -> Result<HeaderValue> {
        let secret = secret.expose();
        let text = Zeroizing::new(match self {
            Self::Bearer => format!("Bearer {secret}"),
            Self::Prefix(prefix) => format!("{prefix}{secret}"),
            Self::Raw => secret.to_owned(),
            Self::Basic { user } if user.contains(':') => {
                return Err(Error::invalid("the user name of Basic credentials has a colon"));
            }
            Self::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{secret}"));
                format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes())))
            }
        });
        // `HeaderValue` takes bytes from 0x80 up, which RFC 9110 calls obsolete and servers read
        // as they please.
        let mut value = HeaderValue::from_str(&text)
            .ok()
            .filter(|value| value.to_str().is_ok())
            .ok_or_else(|| Error::invalid("the secret has bytes that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
