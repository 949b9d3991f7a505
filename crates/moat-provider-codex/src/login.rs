//! The vendor's token endpoint: a device login, the next token, the end of a login.
//!
//! Source: Codex 0.169.0. The device login is the vendor's own form of RFC 8628.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use moat_provider_core::{Error, ErrorKind, GrantContext, HostContext, Result, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::api::{LOGIN_HOST, failure, json as body_of, send, unreadable};
use crate::token::check_one_word;

/// The id under which Codex is known. Clients that run on a person's machine have no secret (RFC
/// 8252, section 8.5), and logins of another id may not use Codex's API.
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// How long a code may be entered.
const LIFE_OF_CODE: Duration = Duration::from_secs(15 * 60);
/// How long to wait between two questions where the vendor does not say.
const DEFAULT_INTERVAL: u64 = 5;
/// The bounds of what the vendor may say.
const INTERVALS: (u64, u64) = (1, 60);
/// Where a person enters the code.
const PAGE: &str = "https://auth.openai.com/codex/device";

/// What the token endpoint issues. After a login all are there.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) access: Option<Secret>,
    pub(crate) refresh: Option<Secret>,
    pub(crate) id: Option<Secret>,
}

/// Lets the person log in with a code, in any browser.
///
/// # Errors
///
/// [`ErrorKind::TimedOut`] when nobody entered the code, and those of the ports.
pub(crate) async fn with_device(cx: &GrantContext) -> Result<Tokens> {
    let host = cx.host();
    let question = json!({ "client_id": CLIENT_ID });
    let response = post_json(host, "/api/accounts/deviceauth/usercode", &question).await?;
    let body = match response.status().as_u16() {
        200 => body_of(&response),
        401 | 403 | 404 => return Err(no_device_login(&response)),
        _ => return Err(failure(host, LOGIN_HOST, &response)),
    };
    let (code, device) = code_of(&body).ok_or_else(|| unreadable(LOGIN_HOST))?;
    let interval = interval_of(&body["interval"]);

    cx.terminal()
        .tell(&format!(
            "Log in at {PAGE} and enter the code {code} there, within 15 minutes. The login is \
             one of its own: that of Codex on this machine stays as it is. Enter no code that \
             somebody else sent you."
        ))
        .await?;
    // Without a browser here there is one elsewhere.
    let _ = cx.terminal().open_url(PAGE).await;

    let question = json!({ "device_auth_id": device, "user_code": code });
    let deadline = host.clock().now() + LIFE_OF_CODE;
    while host.clock().now() < deadline {
        host.clock().sleep(interval).await;
        let response = post_json(host, "/api/accounts/deviceauth/token", &question).await?;
        match response.status().as_u16() {
            200 => return exchange(host, &body_of(&response)).await,
            // Nobody has entered the code yet.
            403 | 404 => {}
            _ => return Err(failure(host, LOGIN_HOST, &response)),
        }
    }
    Err(Error::new(ErrorKind::TimedOut, "nobody entered the code within 15 minutes")
        .with_hint("moat grant codex --source device"))
}

fn no_device_login(response: &Response<Bytes>) -> Error {
    let status = response.status().as_u16();
    let kind = match status {
        404 => ErrorKind::UnexpectedAnswer,
        _ => ErrorKind::PermissionDenied,
    };
    Error::new(kind, format!("{LOGIN_HOST} gives no code to log in with ({status})")).with_hint(
        "allow device codes in ChatGPT's settings under Security, or use an access token: moat grant codex --source access-token",
    )
}

/// Takes the code for the person, and the one that stands for this login.
fn code_of(body: &Value) -> Option<(&str, &str)> {
    let code = body["user_code"].as_str().or(body["usercode"].as_str())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = (4..=32).contains(&code.len()) && code.bytes().all(plain);
    let device = body["device_auth_id"].as_str().filter(|id| !id.is_empty())?;
    fits.then_some((code, device))
}

/// Seconds, as a number or as a text.
fn interval_of(value: &Value) -> Duration {
    let seconds = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let (least, most) = INTERVALS;
    Duration::from_secs(seconds.unwrap_or(DEFAULT_INTERVAL).clamp(least, most))
}

async fn exchange(cx: &HostContext, answer: &Value) -> Result<Tokens> {
    let part = |name: &str| {
        let text = answer[name].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| unreadable(LOGIN_HOST))
    };
    let form = [
        ("grant_type", "authorization_code"),
        ("code", part("authorization_code")?),
        ("redirect_uri", "https://auth.openai.com/deviceauth/callback"),
        ("client_id", CLIENT_ID),
        ("code_verifier", part("code_verifier")?),
    ];
    let mut encoded = Zeroizing::new(String::new());
    for (name, value) in form {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        encoded.push_str(name);
        encoded.push('=');
        encoded.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let request = Request::post(format!("https://{LOGIN_HOST}/oauth/token"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::copy_from_slice(encoded.as_bytes()));
    let response = send(cx, LOGIN_HOST, request).await?;
    match response.status().as_u16() {
        200 => issued(&response),
        400 | 401 | 403 => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("{LOGIN_HOST} does not complete the login"),
        )
        .with_hint("begin anew: moat grant codex --source device")),
        _ => Err(failure(cx, LOGIN_HOST, &response)),
    }
}

/// Obtains the next tokens. The refresh token works once only: what came has to be stored before it
/// is used.
///
/// # Errors
///
/// [`ErrorKind::TokenRevoked`] when only a new login helps, and transient kinds.
#[expect(clippy::disallowed_methods, reason = "the vendor's endpoint takes it in the body")]
pub(crate) async fn refresh(cx: &HostContext, token: &Secret) -> Result<Tokens> {
    let question = json!({
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_token": token.expose(),
    });
    let response = post_json(cx, "/oauth/token", &question).await?;
    match response.status().as_u16() {
        200 => issued(&response),
        401 => Err(over()),
        _ if is_over(&body_of(&response)) => Err(over()),
        _ => Err(failure(cx, LOGIN_HOST, &response)),
    }
}

fn over() -> Error {
    Error::new(ErrorKind::TokenRevoked, "the ChatGPT login has ended")
        .with_hint("moat grant codex --source device")
}

/// Whether an answer, of whatever status, says that this refresh token will never work again.
fn is_over(body: &Value) -> bool {
    let ends = [
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        // RFC 6749, section 5.2.
        "invalid_grant",
    ];
    let codes = [&body["error"]["code"], &body["error"], &body["code"]];
    codes.into_iter().filter_map(Value::as_str).any(|code| ends.contains(&code))
}

/// Ends a login.
///
/// # Errors
///
/// Transient kinds; a login that the vendor does not know has ended.
#[expect(clippy::disallowed_methods, reason = "the vendor's endpoint takes it in the body")]
pub(crate) async fn revoke(cx: &HostContext, token: &Secret) -> Result<()> {
    let question = json!({
        "client_id": CLIENT_ID,
        "token": token.expose(),
        "token_type_hint": "refresh_token",
    });
    let response = post_json(cx, "/oauth/revoke", &question).await?;
    match response.status().as_u16() {
        429 => Err(failure(cx, LOGIN_HOST, &response)),
        200..=299 | 400..=499 => Ok(()),
        _ => Err(failure(cx, LOGIN_HOST, &response)),
    }
}

async fn post_json(cx: &HostContext, path: &str, body: &Value) -> Result<Response<Bytes>> {
    let request = Request::post(format!("https://{LOGIN_HOST}{path}"))
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string().into());
    send(cx, LOGIN_HOST, request).await
}

fn issued(response: &Response<Bytes>) -> Result<Tokens> {
    let body = body_of(response);
    let token = |name: &str| {
        let token = body[name].as_str().filter(|text| !text.trim().is_empty());
        token.map(|text| Secret::new(text.to_owned()))
    };
    let tokens = Tokens {
        access: token("access_token"),
        refresh: token("refresh_token"),
        id: token("id_token"),
    };
    let access = tokens.access.as_ref().ok_or_else(|| unreadable(LOGIN_HOST))?;
    check_one_word(access, "the token that OpenAI issued")?;
    Ok(tokens)
}
