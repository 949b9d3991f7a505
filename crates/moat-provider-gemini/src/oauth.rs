//! Google's authorization server: tokens for a code, and for a refresh token.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response};
use moat_provider_core::{Error, ErrorKind, HostContext, Result, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::api::{TOKEN_HOST, common_failure, send, unreadable};

/// RFC 3986, section 2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The OAuth client in whose name a person logs in: id and secret.
///
/// Google's server for Gemini Code Assist takes tokens of Gemini CLI's own client, which is public
/// as those of all installed programs are (RFC 8252, section 8.5). It stands in that program's
/// source and not here.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    id: String,
    secret: Secret,
}

impl OAuthClient {
    /// Names a client.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: Secret) -> Self {
        Self { id: id.into(), secret }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// What the server issued.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    pub(crate) lifetime: Duration,
}

/// Encodes a part of a query or a form.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Asks for tokens.
///
/// # Errors
///
/// [`ErrorKind::TokenRevoked`] for a grant that is not valid any more (`invalid_grant`, RFC 6749,
/// section 5.2), [`ErrorKind::PermissionDenied`] for a client that the server does not know.
#[expect(clippy::disallowed_methods, reason = "the form that goes to the vendor")]
pub(crate) async fn tokens(
    cx: &HostContext,
    client: &OAuthClient,
    grant: &[(&str, &Secret)],
    grant_type: &str,
    redirect_uri: Option<&str>,
) -> Result<Tokens> {
    let mut form = Zeroizing::new(String::with_capacity(8192));
    form.push_str("grant_type=");
    form.push_str(grant_type);
    let mut field = |name: &str, value: &str| {
        form.push('&');
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(value, UNRESERVED));
    };
    field("client_id", client.id());
    field("client_secret", client.secret().expose());
    for (name, value) in grant {
        field(name, value.expose());
    }
    if let Some(uri) = redirect_uri {
        field("redirect_uri", uri);
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://{TOKEN_HOST}/token"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::copy_from_slice(form.as_bytes()));
    let response = send(cx, TOKEN_HOST, request).await?;
    match response.status().as_u16() {
        200 => read(&response),
        400 | 401 | 403 => Err(refused(&response)),
        _ => Err(common_failure(cx, TOKEN_HOST, &response)),
    }
}

fn read(response: &Response<Bytes>) -> Result<Tokens> {
    /// Longer than any token of Google's lives.
    const LONGEST: u64 = 24 * 3600;
    let mut body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let mut text = |name: &str| match body[name].take() {
        Value::String(text) if !text.trim().is_empty() => Some(Secret::new(text)),
        _ => None,
    };
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let lifetime = body["expires_in"].as_u64().filter(|seconds| (1..=LONGEST).contains(seconds));
    match (access, lifetime) {
        (Some(access), Some(seconds)) => {
            Ok(Tokens { access, refresh, lifetime: Duration::from_secs(seconds) })
        }
        _ => Err(unreadable(TOKEN_HOST)),
    }
}

fn refused(response: &Response<Bytes>) -> Error {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match body["error"].as_str() {
        Some("invalid_grant") => Error::new(
            ErrorKind::TokenRevoked,
            "Google does not accept the login any more: it has expired or was ended",
        )
        .with_hint("moat grant gemini --source login"),
        Some("invalid_client" | "unauthorized_client") => {
            Error::new(ErrorKind::PermissionDenied, "Google does not accept the OAuth client")
                .with_hint("check GEMINI_OAUTH_CLIENT_ID and GEMINI_OAUTH_CLIENT_SECRET")
        }
        Some(_) => Error::new(ErrorKind::PermissionDenied, "Google refuses to issue a token")
            .with_hint("moat grant gemini"),
        None => unreadable(TOKEN_HOST),
    }
}
