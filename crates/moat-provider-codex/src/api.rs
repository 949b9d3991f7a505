//! What the vendor answers when a credential is tried, and what a status means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response};
use moat_provider_core::{
    Error, ErrorKind, HeaderTemplate, HostContext, Result, Secret, Timeout, retry_after,
};
use serde_json::Value;

use crate::jwt::plain_word;

/// The host of the API, for keys.
pub(crate) const API_HOST: &str = "api.openai.com";
/// The host that Codex works with on a ChatGPT account.
pub(crate) const CHATGPT_HOST: &str = "chatgpt.com";
/// The host of logins.
pub(crate) const LOGIN_HOST: &str = "auth.openai.com";

/// The header that says which of the person's accounts pays.
pub(crate) const ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
/// The headers that say which organization and which project pay, for keys that may use several.
pub(crate) const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
pub(crate) const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// Whether a login may be used: what Codex asks before anything else (0.169.0).
pub(crate) const ACCOUNTS: &str = "/backend-api/wham/accounts/check";

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

const TROUBLE: &str = "try again later, see https://status.openai.com";

/// Who an access token is for.
pub(crate) struct WhoAmI {
    pub(crate) account: String,
    pub(crate) plan: Option<String>,
}

/// Asks the API whether it accepts a key, which is free.
///
/// A key that may not list models, or that is over its limit, is a key nevertheless: what it may do
/// the person has decided. The body tells that answer from one that something on the way gives.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when it does not, and transient kinds when that could not be found
/// out.
pub(crate) async fn check_key(
    cx: &HostContext,
    key: &Secret,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<()> {
    let mut request = Request::get(format!("https://{API_HOST}/v1/models"))
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(key)?);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = send(cx, API_HOST, request.body(Bytes::new())).await?;
    let body = json(&response);
    match response.status().as_u16() {
        200 if body["data"].is_array() => Ok(()),
        200 => Err(unreadable(API_HOST)),
        403 if is_refusal_of_scope(&body) => Ok(()),
        429 if is_over_limit(&body) => Ok(()),
        401 => Err(Error::new(
            ErrorKind::Unauthenticated,
            format!("{API_HOST} does not accept the key"),
        )
        .with_hint("see https://platform.openai.com/api-keys")),
        403 => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("{API_HOST} knows the key and refuses this use of it"),
        )
        .with_hint(
            "see the key's permissions and the project's limits at https://platform.openai.com",
        )),
        _ => Err(failure(cx, API_HOST, &response)),
    }
}

/// Source: OpenAI's help pages on API key permissions: the message names the scopes that are missing.
fn is_refusal_of_scope(body: &Value) -> bool {
    let message = body["error"]["message"].as_str().unwrap_or_default();
    body["error"]["code"] == "missing_scope" || message.contains("Missing scopes")
}

/// Source: OpenAI's API docs, "Error codes".
fn is_over_limit(body: &Value) -> bool {
    let kinds = ["insufficient_quota", "rate_limit_exceeded"];
    let named = |field: &str| body["error"][field].as_str().is_some_and(|at| kinds.contains(&at));
    named("code") || named("type")
}

/// Asks whose access token it is.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when the vendor does not know it, [`ErrorKind::PermissionDenied`],
/// and transient kinds.
pub(crate) async fn who_am_i(cx: &HostContext, token: &Secret) -> Result<WhoAmI> {
    // As Codex does (0.169.0).
    let path = "/api/accounts/v1/user-auth-credential/whoami";
    let request = Request::get(format!("https://{LOGIN_HOST}{path}"))
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(token)?)
        .body(Bytes::new());
    let response = send(cx, LOGIN_HOST, request).await?;
    let body = json(&response);
    match response.status().as_u16() {
        200 => {
            let account = plain_word(&body["chatgpt_account_id"]);
            let account = account.ok_or_else(|| unreadable(LOGIN_HOST))?;
            Ok(WhoAmI { account, plan: plain_word(&body["chatgpt_plan_type"]) })
        }
        _ => Err(not_accepted(cx, LOGIN_HOST, &response)),
    }
}

/// Asks whether a login is accepted, and returns the host that the vendor has for the account's
/// workspace.
///
/// # Errors
///
/// Those of [`who_am_i`].
pub(crate) async fn check_login(
    cx: &HostContext,
    token: &Secret,
    account: &str,
) -> Result<Option<String>> {
    let id = HeaderValue::from_str(account).map_err(|_| unreadable(LOGIN_HOST))?;
    let request = Request::get(format!("https://{CHATGPT_HOST}{ACCOUNTS}"))
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(token)?)
        .header(ACCOUNT_ID, id)
        .body(Bytes::new());
    let response = send(cx, CHATGPT_HOST, request).await?;
    match response.status().as_u16() {
        200 => match json(&response) {
            body if body["accounts"].is_array() || body["accounts"].is_object() => {
                Ok(backend_of(&body, account))
            }
            _ => Err(unreadable(CHATGPT_HOST)),
        },
        _ => Err(not_accepted(cx, CHATGPT_HOST, &response)),
    }
}

fn backend_of(body: &Value, account: &str) -> Option<String> {
    let accounts = body["accounts"].as_array()?;
    let own = accounts.iter().find(|entry| entry["id"] == account)?;
    let origin = own["workspace_backend_origin"].as_str()?;
    let host = origin.trim_end_matches('/').strip_prefix("https://")?.to_ascii_lowercase();
    is_backend(&host).then_some(host)
}

/// Whether a host is one of the vendor's: nothing else that an answer names gets a token.
pub(crate) fn is_backend(host: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let of_vendor = [".chatgpt.com", ".openai.com"].iter().any(|suffix| host.ends_with(suffix));
    (host == CHATGPT_HOST || of_vendor) && host.len() <= 253 && host.bytes().all(plain)
}

fn not_accepted(cx: &HostContext, host: &str, response: &Response<Bytes>) -> Error {
    match response.status().as_u16() {
        401 => Error::new(ErrorKind::Unauthenticated, format!("{host} does not accept the token"))
            .with_hint("it may have expired or been revoked: moat grant codex --source device"),
        403 => Error::new(
            ErrorKind::PermissionDenied,
            format!("{host} knows the token and refuses this use of it"),
        )
        .with_hint("see whether the plan and the workspace allow Codex: https://chatgpt.com/codex"),
        _ => failure(cx, host, response),
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
        request.map_err(|_| Error::invalid("the request to OpenAI cannot be made"))?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("moat"));
    request.extensions_mut().insert(Timeout(PATIENCE));
    cx.http().send(request).await.map_err(|error| unreached(host, error))
}

/// Reads an answer; what is not JSON is `null`.
pub(crate) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_default()
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

/// Says that an answer is not the vendor's.
pub(crate) fn unreadable(host: &str) -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, format!("what came from {host} is not its answer"))
        .with_hint("check whether something on the way answers instead")
}

/// Says what a status means that is the same everywhere. Nothing of the body reaches the error.
pub(crate) fn failure(cx: &HostContext, host: &str, response: &Response<Bytes>) -> Error {
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
