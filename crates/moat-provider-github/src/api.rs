//! What GitHub's API answers: who a token is, and what a status means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use moat_provider_core::{
    Error, ErrorKind, HeaderTemplate, HostContext, Result, Secret, Timeout, retry_after,
};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::host::Instance;
use crate::token::TokenKind;

/// How long GitHub may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait when GitHub asks to slow down and does not say for how long (REST docs, "Rate
/// limits for the REST API": at least a minute).
const SLOW_DOWN: Duration = Duration::from_secs(60);

const NOT_GITHUB: &str =
    "check the name behind github:, and whether something on the way answers instead";

const API_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
const SCOPES: HeaderName = HeaderName::from_static("x-oauth-scopes");
const EXPIRATION: HeaderName = HeaderName::from_static("github-authentication-token-expiration");
const SSO: HeaderName = HeaderName::from_static("x-github-sso");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What GitHub says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The account; an installation has none.
    pub(crate) login: Option<String>,
    /// The kind of the token.
    pub(crate) kind: TokenKind,
    /// The OAuth scopes of classic and OAuth tokens; others have permissions, which GitHub does
    /// not tell.
    pub(crate) scopes: Vec<String>,
    /// When the token ceases to be valid, if it does.
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Asks GitHub whose token this is.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when GitHub does not accept the token, and the kinds of
/// [`failure`].
pub(crate) async fn identify(
    cx: &HostContext,
    instance: &Instance,
    token: &Secret,
) -> Result<Identity> {
    let kind = TokenKind::of(token);
    if kind == TokenKind::Installation {
        return installation(cx, instance, token).await;
    }
    let response = get(cx, instance, "/user", token).await?;
    if response.status() == StatusCode::OK {
        return user(instance, kind, &response);
    }
    let error = failure(cx, instance, &response);
    if kind == TokenKind::Other && error.kind() == ErrorKind::PermissionDenied {
        // Older servers issue installation tokens without a prefix.
        return installation(cx, instance, token).await.map_err(|_| error);
    }
    Err(error)
}

/// `GET /user` (REST docs, "Get the authenticated user").
fn user(instance: &Instance, kind: TokenKind, response: &Response<Bytes>) -> Result<Identity> {
    let login = serde_json::from_slice::<Value>(response.body())
        .ok()
        .and_then(|body| body.get("login")?.as_str().map(str::to_owned))
        .filter(|login| is_login(login))
        .ok_or_else(|| unreadable(instance))?;
    Ok(identity(Some(login), kind, response.headers()))
}

/// `GET /installation/repositories`: the question that an installation token may always ask, and no
/// other token may. `/user` answers it with 403, and `/rate_limit` with 404 where a server has no
/// limits (REST docs, "List repositories accessible to the app installation").
async fn installation(cx: &HostContext, instance: &Instance, token: &Secret) -> Result<Identity> {
    let response = get(cx, instance, "/installation/repositories?per_page=1", token).await?;
    if response.status() != StatusCode::OK {
        return Err(failure(cx, instance, &response));
    }
    serde_json::from_slice::<Value>(response.body())
        .ok()
        .and_then(|body| body.get("total_count")?.as_u64())
        .ok_or_else(|| unreadable(instance))?;
    Ok(identity(None, TokenKind::Installation, response.headers()))
}

fn identity(login: Option<String>, kind: TokenKind, headers: &HeaderMap) -> Identity {
    Identity {
        login,
        kind,
        scopes: scopes(headers),
        expires_at: text(headers, &EXPIRATION).and_then(parse_expiration),
    }
}

/// Letters, digits and hyphens, `_` in enterprises, brackets around `bot`.
fn is_login(login: &str) -> bool {
    (1..=100).contains(&login.len())
        && login.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_[]".contains(&byte))
}

fn scopes(headers: &HeaderMap) -> Vec<String> {
    let listed = text(headers, &SCOPES).unwrap_or_default().split(',');
    listed.map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// Reads `2026-12-01 00:00:00 UTC` and `2026-12-01 00:00:00 +0200`; GitHub writes both.
fn parse_expiration(text: &str) -> Option<OffsetDateTime> {
    let mut parts = text.split_ascii_whitespace();
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let zone = match zone {
        "UTC" | "Z" => "Z".to_owned(),
        offset => match offset.split_at_checked(3)? {
            (hours, minutes) if minutes.len() == 2 => format!("{hours}:{minutes}"),
            _ => return None,
        },
    };
    match parts.next() {
        Some(_) => None,
        None => OffsetDateTime::parse(&format!("{date}T{time}{zone}"), &Rfc3339).ok(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Begins a request with the headers that the REST docs ask for.
pub(crate) fn request(instance: &Instance, method: Method, path: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(instance.rest_url(path))
        .header(ACCEPT, "application/vnd.github+json")
        .header(API_VERSION, "2022-11-28")
        .header(USER_AGENT, "moat")
        .extension(Timeout(PATIENCE))
}

/// Adds a token to a request.
pub(crate) fn authorized(builder: request::Builder, token: &Secret) -> Result<request::Builder> {
    Ok(builder.header(AUTHORIZATION, HeaderTemplate::Bearer.render(token)?))
}

async fn get(
    cx: &HostContext,
    instance: &Instance,
    path: &str,
    token: &Secret,
) -> Result<Response<Bytes>> {
    let request = authorized(request(instance, Method::GET, path), token)?;
    send(cx, instance, request, Bytes::new()).await
}

/// Sends a request.
///
/// # Errors
///
/// Those of the port, with the host's name and what to do.
pub(crate) async fn send(
    cx: &HostContext,
    instance: &Instance,
    request: request::Builder,
    body: Bytes,
) -> Result<Response<Bytes>> {
    let request = request.body(body).map_err(|_| {
        Error::invalid(format!("{} cannot stand in a URL", instance.api_host().escape_debug()))
    })?;
    let sent = cx.http().send(request).await;
    sent.map_err(|error| {
        let host = instance.api_host();
        let (message, hint) = match error.kind() {
            ErrorKind::TimedOut => (
                format!("{host} did not answer within {} seconds", PATIENCE.as_secs()),
                "try again; if it stays like this, see https://www.githubstatus.com or ask who runs the server",
            ),
            ErrorKind::Offline => (
                format!("{host} was not reached"),
                "check the network, and that HTTPS_PROXY is set if this machine needs a proxy",
            ),
            ErrorKind::UnexpectedAnswer => (
                format!("what came from {host} is no answer of GitHub"),
                NOT_GITHUB,
            ),
            _ => return error,
        };
        Error::new(error.kind(), message)
            .with_hint(hint)
            .with_source(error)
    })
}

/// Says what an answer means that is not the one hoped for.
///
/// GitHub uses 403 for limits too, so that status is told apart by headers and, for secondary
/// limits, by the body, of which nothing reaches the error (REST docs, "Rate limits for the REST
/// API" and "Troubleshooting the REST API").
pub(crate) fn failure(cx: &HostContext, instance: &Instance, response: &Response<Bytes>) -> Error {
    let host = instance.api_host();
    let headers = response.headers();
    let status = response.status();
    match status.as_u16() {
        401 => Error::new(ErrorKind::Unauthenticated, format!("{host} does not accept the token"))
            .with_hint(format!(
                "it may have expired or been revoked: see {}",
                instance.settings_url("tokens")
            )),
        403 | 429 if status.as_u16() == 429 || is_limited(response) => {
            Error::new(ErrorKind::RateLimited, format!("{host} has had enough requests for now"))
                .with_hint("try again later")
                .with_retry_after(wait(headers, cx.clock().now()))
        }
        403 if headers.contains_key(SSO) => Error::new(
            ErrorKind::PermissionDenied,
            "an organization wants single sign-on before it accepts the token",
        )
        .with_hint(format!(
            "authorize the token for the organization: {}, Configure SSO",
            instance.settings_url("tokens")
        )),
        403 => Error::new(
            ErrorKind::PermissionDenied,
            format!("{host} knows the token and refuses this use of it"),
        )
        .with_hint(format!(
            "see the token's permissions at {}, and whether the account is suspended",
            instance.settings_url("tokens")
        )),
        404 => Error::new(
            ErrorKind::UnexpectedAnswer,
            format!("{host} does not answer as GitHub's API does (404)"),
        )
        .with_hint("check the name behind github:"),
        300..=399 => Error::new(
            ErrorKind::UnexpectedAnswer,
            format!("{host} answers with a redirect ({})", status.as_u16()),
        )
        .with_hint("write the server's own name behind github:"),
        500..=599 => {
            let error = Error::new(
                ErrorKind::Unavailable,
                format!("{host} is out of order ({})", status.as_u16()),
            )
            .with_hint("try again later, see https://www.githubstatus.com");
            match retry_after(headers, cx.clock().now()) {
                Some(wait) => error.with_retry_after(wait),
                None => error,
            }
        }
        other => {
            Error::new(ErrorKind::UnexpectedAnswer, format!("{host} answers with status {other}"))
                .with_hint("check the name behind github:")
        }
    }
}

fn unreadable(instance: &Instance) -> Error {
    Error::new(
        ErrorKind::UnexpectedAnswer,
        format!("the answer of {} is not GitHub's", instance.api_host()),
    )
    .with_hint(NOT_GITHUB)
}

fn is_limited(response: &Response<Bytes>) -> bool {
    let headers = response.headers();
    headers.contains_key(http::header::RETRY_AFTER)
        || text(headers, &REMAINING).is_some_and(|left| left.trim() == "0")
        || String::from_utf8_lossy(response.body())
            .to_ascii_lowercase()
            .contains("secondary rate limit")
}

fn wait(headers: &HeaderMap, now: OffsetDateTime) -> Duration {
    let reset = || {
        let exhausted = text(headers, &REMAINING).is_some_and(|left| left.trim() == "0");
        let at = text(headers, &RESET).filter(|_| exhausted)?;
        let at = OffsetDateTime::from_unix_timestamp(at.trim().parse().ok()?).ok()?;
        (at - now).try_into().ok()
    };
    retry_after(headers, now).or_else(reset).unwrap_or(SLOW_DOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_have_a_zone_or_an_offset() {
        let read = |text| parse_expiration(text).map(OffsetDateTime::unix_timestamp);
        assert_eq!(read("2026-12-01 00:00:00 UTC"), Some(1_796_083_200));
        assert_eq!(read("2026-12-01 00:00:00 +0000"), Some(1_796_083_200));
        assert_eq!(read("2026-12-01 02:00:00 +0200"), Some(1_796_083_200));
        assert_eq!(read("2026-11-30 17:00:00 -0700"), Some(1_796_083_200));
        for text in [
            "",
            "never",
            "2026-12-01",
            "2026-12-01 00:00:00",
            "2026-12-01 00:00:00 CET",
            "2026-12-01 00:00:00 +02000",
            "2026-12-01 00:00:00 UTC now",
            "2026-13-01 00:00:00 UTC",
            "2026-12-01 00:00:00 ééé",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn scopes_are_a_list_with_commas() {
        let read =
            |value: &'static str| scopes(&HeaderMap::from_iter([(SCOPES, value.parse().unwrap())]));
        assert_eq!(read("gist, read:org,repo"), ["gist", "read:org", "repo"]);
        assert!(read("").is_empty());
        assert!(scopes(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn a_login_is_a_plain_word() {
        assert!(is_login("octocat"));
        assert!(is_login("mona_octo"));
        assert!(is_login("dependabot[bot]"));
        for text in ["", "octo cat", "octo\u{1b}[31m", "octo\ncat"] {
            assert!(!is_login(text), "{text}");
        }
    }
}
