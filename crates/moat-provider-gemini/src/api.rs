//! What Google's APIs answer when a credential is tried, and what a status means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, USER_AGENT};
use http::{Method, Request, Response};
use moat_provider_core::{
    Error, ErrorKind, HeaderTemplate, HostContext, Result, Secret, Timeout, retry_after,
};
use serde_json::Value;

use crate::kind::Kind;

/// The host of the API, for keys.
pub(crate) const KEY_HOST: &str = "generativelanguage.googleapis.com";
/// The host of tokens: where they are issued, and where it is asked what one may do.
pub(crate) const TOKEN_HOST: &str = "oauth2.googleapis.com";
/// The header of API keys.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

const TROUBLE: &str = "try again later, see https://status.cloud.google.com";

/// Asks whether a credential is accepted, which is free for both kinds. Of a token, returns the id of
/// the account that it is for, if the answer says so.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when it is not, [`ErrorKind::PermissionDenied`], and transient
/// kinds when that could not be found out.
pub(crate) async fn check(cx: &HostContext, kind: Kind, secret: &Secret) -> Result<Option<String>> {
    let (host, request) = match kind {
        // In a header: a key in the query would stand in logs.
        Kind::ApiKey => {
            let uri = format!("https://{KEY_HOST}/v1beta/models?pageSize=1");
            let key = HeaderTemplate::Raw.render(secret)?;
            (KEY_HOST, Request::builder().method(Method::GET).uri(uri).header(API_KEY, key))
        }
        Kind::OAuth => {
            let uri = format!("https://{TOKEN_HOST}/tokeninfo");
            let token = HeaderTemplate::Bearer.render(secret)?;
            let request = Request::builder().method(Method::POST).uri(uri);
            (TOKEN_HOST, request.header(AUTHORIZATION, token).header(CONTENT_LENGTH, 0))
        }
    };
    let request = request.body(Bytes::new());
    let response = send(cx, host, request).await?;
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match response.status().as_u16() {
        200 if is_answer(kind, &body) => Ok(subject(&body)),
        200 => Err(unreadable(host)),
        // The quota is looked at after the key was recognized.
        429 if body["error"]["status"] == "RESOURCE_EXHAUSTED" => Ok(None),
        _ => Err(failure(cx, kind, host, &response)),
    }
}

/// Sends a request.
///
/// # Errors
///
/// Those of the port, with hints.
pub(crate) async fn send(
    cx: &HostContext,
    host: &'static str,
    request: http::Result<Request<Bytes>>,
) -> Result<Response<Bytes>> {
    let mut request =
        request.map_err(|_| Error::invalid("the request to Google cannot be made"))?;
    request.headers_mut().insert(USER_AGENT, http::HeaderValue::from_static("moat"));
    request.extensions_mut().insert(Timeout(PATIENCE));
    cx.http().send(request).await.map_err(|error| unreached(host, error))
}

fn is_answer(kind: Kind, body: &Value) -> bool {
    match kind {
        Kind::ApiKey => body["models"].is_array(),
        Kind::OAuth => body["scope"].is_string(),
    }
}

/// Source: OpenID Connect Core 1.0, section 2: `sub` is ASCII of at most 255 characters.
fn subject(body: &Value) -> Option<String> {
    let text = body["sub"].as_str()?;
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn unreached(host: &str, error: Error) -> Error {
    let (message, hint) = match error.kind() {
        ErrorKind::TimedOut => {
            (format!("{host} did not answer within {} seconds", PATIENCE.as_secs()), TROUBLE)
        }
        ErrorKind::Offline => (
            format!("{host} was not reached"),
            "check the network, and that HTTPS_PROXY is set if this machine needs a proxy",
        ),
        ErrorKind::UnexpectedAnswer => return unreadable(host).with_source(error),
        _ => return error,
    };
    Error::new(error.kind(), message).with_hint(hint).with_source(error)
}

/// Says that an answer is not Google's.
pub(crate) fn unreadable(host: &str) -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, format!("what came from {host} is not its answer"))
        .with_hint("check whether something on the way answers instead")
}

/// Says what an answer means that is not the one hoped for. Nothing of its body reaches the error.
///
/// Google answers 400 to a key that it does not know, and to a token on `tokeninfo`.
///
/// Source: Gemini API docs, "Troubleshooting guide".
fn failure(cx: &HostContext, kind: Kind, host: &str, response: &Response<Bytes>) -> Error {
    let status = response.status().as_u16();
    match (status, kind) {
        (400 | 401, Kind::ApiKey) => {
            Error::new(ErrorKind::Unauthenticated, format!("{host} does not accept the key"))
                .with_hint("make another one: https://aistudio.google.com/apikey")
        }
        (400 | 401, Kind::OAuth) => {
            Error::new(ErrorKind::Unauthenticated, format!("{host} does not accept the token"))
                .with_hint("it may have expired: run gemini once, then moat grant gemini")
        }
        (403, _) => Error::new(
            ErrorKind::PermissionDenied,
            format!("{host} knows the credential and refuses this use of it"),
        )
        .with_hint("see the key's restrictions: https://aistudio.google.com/apikey"),
        _ => common_failure(cx, host, response),
    }
}

/// Says what a status means that is the same everywhere.
pub(crate) fn common_failure(cx: &HostContext, host: &str, response: &Response<Bytes>) -> Error {
    let status = response.status().as_u16();
    let error = match status {
        429 => {
            Error::new(ErrorKind::RateLimited, format!("{host} has had enough requests for now"))
                .with_hint("try again later")
        }
        500..=599 => {
            Error::new(ErrorKind::Unavailable, format!("{host} is out of order ({status})"))
                .with_hint(TROUBLE)
        }
        _ => {
            Error::new(ErrorKind::UnexpectedAnswer, format!("{host} answers with status {status}"))
                .with_hint("check whether something on the way answers instead")
        }
    };
    match retry_after(response.headers(), cx.clock().now()) {
        Some(wait) if error.kind().is_transient() => error.with_retry_after(wait),
        _ => error,
    }
}
