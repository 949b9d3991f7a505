//! What Anthropic's API answers when a credential is tried, and what a status means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use moat_provider_core::{
    Error, ErrorKind, HeaderTemplate, HostContext, Result, Secret, Timeout, retry_after,
};
use serde_json::{Value, json};

use crate::token::Kind;

/// The host of the API.
pub(crate) const HOST: &str = "api.anthropic.com";
/// The header of API keys.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The header that asks for features in development.
pub(crate) const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// The value without which the API takes no OAuth token.
pub(crate) const OAUTH_BETA: HeaderValue = HeaderValue::from_static("oauth-2025-04-20");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// What Claude Code sends along with a token (2.1.197).
const DIRECT: HeaderName = HeaderName::from_static("anthropic-dangerous-direct-browser-access");

/// How long the API may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

const STATUS_PAGE: &str = "try again later, see https://status.claude.com";

/// The model that takes an OAuth token without the system prompt of Claude Code.
const PROBE_MODEL: &str = "claude-haiku-4-5-20251001";

/// Asks the API whether it accepts a credential.
///
/// For a key the question is free. For a token of a subscription there is no such question: it is
/// the shortest answer of the smallest model.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when it does not, [`ErrorKind::PermissionDenied`], and transient
/// kinds when that could not be found out.
pub(crate) async fn check(cx: &HostContext, kind: Kind, secret: &Secret) -> Result<()> {
    let (request, body) = match kind {
        Kind::ApiKey => {
            let request = Request::builder()
                .method(Method::GET)
                .uri(format!("https://{HOST}/v1/models?limit=1"))
                .header(API_KEY, HeaderTemplate::Raw.render(secret)?);
            (request, Bytes::new())
        }
        Kind::OAuth => {
            let body = json!({
                "model": PROBE_MODEL,
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "hi"}],
            });
            let request = Request::builder()
                .method(Method::POST)
                .uri(format!("https://{HOST}/v1/messages"))
                .header(AUTHORIZATION, HeaderTemplate::Bearer.render(secret)?)
                .header(BETA, OAUTH_BETA)
                .header(DIRECT, "true")
                .header(CONTENT_TYPE, "application/json");
            (request, body.to_string().into())
        }
    };
    let request = request
        .header(VERSION, "2023-06-01")
        .header(USER_AGENT, "moat")
        .extension(Timeout(PATIENCE))
        .body(body)
        .map_err(|_| Error::invalid("the request to the API cannot be made"))?;
    let response = cx.http().send(request).await.map_err(unreached)?;
    match response.status() {
        StatusCode::OK if is_answer(kind, &response) => Ok(()),
        StatusCode::OK => Err(unreadable()),
        _ if is_authenticated_refusal(&response) => Ok(()),
        _ => Err(failure(cx, kind, &response)),
    }
}

fn is_answer(kind: Kind, response: &Response<Bytes>) -> bool {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match kind {
        Kind::ApiKey => body["data"].is_array(),
        Kind::OAuth => body["type"] == "message",
    }
}

/// Whether the API knew the credential, and had no time or no allowance left for the request: it
/// authenticates first. Something on the way that limits rates answers in another form.
fn is_authenticated_refusal(response: &Response<Bytes>) -> bool {
    let wanted = match response.status().as_u16() {
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => return false,
    };
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    body["type"] == "error" && body["error"]["type"] == wanted
}

fn unreached(error: Error) -> Error {
    let (message, hint) = match error.kind() {
        ErrorKind::TimedOut => {
            (format!("{HOST} did not answer within {} seconds", PATIENCE.as_secs()), STATUS_PAGE)
        }
        ErrorKind::Offline => (
            format!("{HOST} was not reached"),
            "check the network, and that HTTPS_PROXY is set if this machine needs a proxy",
        ),
        ErrorKind::UnexpectedAnswer => return unreadable().with_source(error),
        _ => return error,
    };
    Error::new(error.kind(), message).with_hint(hint).with_source(error)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, format!("what came from {HOST} is not its answer"))
        .with_hint("check whether something on the way answers instead")
}

/// Says what an answer means that is not the one hoped for. Nothing of its body reaches the error.
///
/// Source: Anthropic's API docs, "Errors".
fn failure(cx: &HostContext, kind: Kind, response: &Response<Bytes>) -> Error {
    let what = match kind {
        Kind::OAuth => "token",
        Kind::ApiKey => "key",
    };
    let status = response.status().as_u16();
    let error = match status {
        401 => Error::new(ErrorKind::Unauthenticated, format!("{HOST} does not accept the {what}"))
            .with_hint(match kind {
                Kind::OAuth => {
                    "it may have expired or been revoked: make a new one with claude setup-token"
                }
                Kind::ApiKey => "see https://platform.claude.com/settings/keys",
            }),
        403 => Error::new(
            ErrorKind::PermissionDenied,
            format!("{HOST} knows the {what} and refuses this use of it"),
        )
        .with_hint(match kind {
            Kind::OAuth => {
                "the token needs the scope user:inference: make one with claude setup-token"
            }
            Kind::ApiKey => "see the key's workspace at https://platform.claude.com/settings/keys",
        }),
        400 => Error::new(ErrorKind::PermissionDenied, format!("{HOST} refuses the request (400)"))
            .with_hint(
                "see whether the account has credit: https://platform.claude.com/settings/billing",
            ),
        429 => {
            Error::new(ErrorKind::RateLimited, format!("{HOST} has had enough requests for now"))
                .with_hint("try again later")
        }
        500..=599 => {
            Error::new(ErrorKind::Unavailable, format!("{HOST} is out of order ({status})"))
                .with_hint(STATUS_PAGE)
        }
        _ => {
            Error::new(ErrorKind::UnexpectedAnswer, format!("{HOST} answers with status {status}"))
                .with_hint("check whether something on the way answers instead")
        }
    };
    match retry_after(response.headers(), cx.clock().now()) {
        Some(wait) if error.kind().is_transient() => error.with_retry_after(wait),
        _ => error,
    }
}
