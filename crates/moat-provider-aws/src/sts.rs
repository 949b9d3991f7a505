//! The two questions that are asked of STS.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use moat_provider_core::{Error, ErrorKind, HostContext, Result, Secret, Timeout, retry_after};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use crate::arn;
use crate::keys::Keys;
use crate::settings::Settings;
use crate::sigv4::{Slash, encode, sign_own};

/// How long STS may take to answer: less than programs wait for the endpoint.
const PATIENCE: Duration = Duration::from_secs(8);
/// How far a clock may be off before that is the likely reason for a refusal.
const SKEW: time::Duration = time::Duration::minutes(4);

/// A session, until when it is valid, and who it is.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) keys: Keys,
    pub(crate) expires_at: OffsetDateTime,
    /// The ARN of the assumed role.
    pub(crate) identity: String,
}

/// Asks whose keys these are (STS API reference, "GetCallerIdentity": it needs no permission).
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when they are nobody's, and those of [`failure`].
pub(crate) async fn identify(cx: &HostContext, settings: &Settings, keys: &Keys) -> Result<String> {
    let response = ask(cx, settings, keys, "Action=GetCallerIdentity&Version=2011-06-15").await?;
    let text = text(&response);
    let identity = element(text, "GetCallerIdentityResult")
        .and_then(|result| element(result, "Arn"))
        .filter(|arn| arn::is_identity(arn));
    identity.map(ToOwned::to_owned).ok_or_else(unreadable)
}

/// Assumes the role for one run (STS API reference, "AssumeRole").
///
/// # Errors
///
/// [`ErrorKind::PermissionDenied`] when these keys may not assume it, and those of [`failure`].
pub(crate) async fn assume(
    cx: &HostContext,
    settings: &Settings,
    keys: &Keys,
    session_name: &str,
) -> Result<Session> {
    let mut form = String::from("Action=AssumeRole&Version=2011-06-15");
    let mut field = |name: &str, value: &str| {
        let value = encode(value.as_bytes(), Slash::Encoded);
        form.push_str(&format!("&{name}={value}"));
    };
    field("RoleArn", &settings.role.to_string());
    field("RoleSessionName", session_name);
    field("DurationSeconds", &settings.duration.seconds().to_string());
    if let Some(id) = &settings.external_id {
        field("ExternalId", id);
    }
    if let Some(policy) = &settings.policy {
        field("Policy", policy);
    }
    for (at, policy) in settings.policy_arns.iter().enumerate() {
        field(&format!("PolicyArns.member.{}.arn", at + 1), policy);
    }
    let response = ask(cx, settings, keys, &form).await?;
    read_session(text(&response)).ok_or_else(unreadable)
}

fn read_session(text: &str) -> Option<Session> {
    let result = element(text, "AssumeRoleResult")?;
    let credentials = element(result, "Credentials")?;
    let secret = |name: &str| {
        let value = element(credentials, name)?;
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'&');
        plain.then(|| Secret::new(value.to_owned()))
    };
    let identity = element(element(result, "AssumedRoleUser")?, "Arn")?;
    Some(Session {
        keys: Keys {
            id: secret("AccessKeyId")?,
            secret: secret("SecretAccessKey")?,
            token: Some(secret("SessionToken")?),
        },
        expires_at: OffsetDateTime::parse(element(credentials, "Expiration")?, &Rfc3339).ok()?,
        identity: arn::is_identity(identity).then(|| identity.to_owned())?,
    })
}

/// Returns the text inside the first element of a name, without white space around it. Answers of
/// STS have neither attributes inside nor character references in the values that are read.
fn element<'t>(xml: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.trim())
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap_or_default()
}

fn host(settings: &Settings) -> String {
    format!("sts.{}.{}", settings.region, settings.role.partition().suffix)
}

async fn ask(
    cx: &HostContext,
    settings: &Settings,
    keys: &Keys,
    form: &str,
) -> Result<Response<Bytes>> {
    let host = host(settings);
    let request = Request::post(format!("https://{host}/"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .header(USER_AGENT, "moat")
        .extension(Timeout(PATIENCE))
        .body(Bytes::copy_from_slice(form.as_bytes()))
        .map_err(|_| {
            Error::invalid(format!("{host} is not a host")).with_hint("choose another --region")
        })?;
    let request = sign_own(request, &settings.region, "sts", keys, cx.clock().now())?;
    let sent = cx.http().send(request).await.map_err(|error| unreached(error, &host));
    let response = sent?;
    match response.status() {
        StatusCode::OK => Ok(response),
        _ => Err(failure(cx, &host, &response)),
    }
}

fn unreached(error: Error, host: &str) -> Error {
    let (message, hint) = match error.kind() {
        ErrorKind::TimedOut => (
            format!("{host} did not answer within {} seconds", PATIENCE.as_secs()),
            "try again; https://health.aws.amazon.com shows whether AWS is in trouble",
        ),
        ErrorKind::Offline => {
            (format!("{host} was not reached"), "look at the network, and at the --region")
        }
        ErrorKind::PortMissing => return error,
        _ => (
            format!("what {host} answered was not understood"),
            "look whether something on the way answers instead",
        ),
    };
    Error::new(error.kind(), message).with_hint(hint).with_source(error)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, "the answer of STS was not understood")
        .with_hint("look whether something on the way answers instead")
}

/// What STS means by a code (STS API reference, "Common Errors" and those of the actions).
fn meaning(code: &str) -> Option<(ErrorKind, &'static str, &'static str)> {
    Some(match code {
        "AccessDenied" | "AccessDeniedException" => (
            ErrorKind::PermissionDenied,
            "these keys may not assume the role",
            "its trust policy has to name their identity, and their policy has to allow sts:AssumeRole; where the trust policy asks for an external id, give --external-id",
        ),
        "ExpiredToken" | "ExpiredTokenException" => (
            ErrorKind::Unauthenticated,
            "the session whose keys assume the role has expired",
            "log in again: aws sso login, or put fresh keys into the environment and grant again",
        ),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "MissingAuthenticationToken" => (
            ErrorKind::Unauthenticated,
            "AWS does not know the keys that assume the role",
            "look at them with: aws sts get-caller-identity",
        ),
        "SignatureDoesNotMatch" | "IncompleteSignature" => (
            ErrorKind::Unauthenticated,
            "the secret key does not belong to the key id",
            "look at both with: aws sts get-caller-identity",
        ),
        "RegionDisabledException" => (
            ErrorKind::InvalidInput,
            "STS is switched off in this region",
            "choose another --region, or activate STS there in the account settings of IAM",
        ),
        "MalformedPolicyDocument" => (
            ErrorKind::InvalidInput,
            "AWS does not understand the session policy",
            "correct what stands in --session-policy",
        ),
        "PackedPolicyTooLarge" => (
            ErrorKind::InvalidInput,
            "the session policy is too long for AWS",
            "shorten --session-policy, or use --policy-arn",
        ),
        "ValidationError" => (
            ErrorKind::InvalidInput,
            "AWS does not take the duration, or another option of the session",
            "choose a --session-duration within the role's maximum; 1h where a role assumes a role",
        ),
        "Throttling" | "ThrottlingException" => {
            (ErrorKind::RateLimited, "STS asks to slow down", "try again in a minute")
        }
        _ => return None,
    })
}

/// Turns a refusal of STS into an error. No part of the answer becomes its text.
fn failure(cx: &HostContext, host: &str, response: &Response<Bytes>) -> Error {
    let now = cx.clock().now();
    let status = response.status();
    let code = element(text(response), "Error").and_then(|error| element(error, "Code"));
    if let Some(behind) = skew(response.headers(), now)
        && status.is_client_error()
        && matches!(
            code,
            Some("SignatureDoesNotMatch" | "RequestExpired" | "InvalidSignatureException")
        )
    {
        return Error::new(
            ErrorKind::Unauthenticated,
            format!("this machine's clock is {} minutes off", behind.whole_minutes().abs()),
        )
        .with_hint("set it: AWS takes no signature that is older than five minutes");
    }
    let by_status = match status.as_u16() {
        429 => meaning("Throttling"),
        500.. => None,
        _ => code.and_then(meaning),
    };
    let (kind, message, hint) = match by_status {
        Some((kind, message, hint)) => (kind, message.to_owned(), hint),
        None => {
            let kind = match status.as_u16() {
                401 => ErrorKind::Unauthenticated,
                403 => ErrorKind::PermissionDenied,
                500.. => ErrorKind::Unavailable,
                _ => ErrorKind::UnexpectedAnswer,
            };
            let hint = match kind {
                ErrorKind::Unavailable => "try again in a minute",
                _ => "look at the keys and the role with: aws sts assume-role",
            };
            (kind, format!("{host} answered {}", status.as_u16()), hint)
        }
    };
    let error = Error::new(kind, message).with_hint(hint);
    match retry_after(response.headers(), now) {
        Some(wait) if kind.is_transient() => error.with_retry_after(wait),
        _ => error,
    }
}

/// How far the clock is from that of an answer, if that is much.
fn skew(headers: &HeaderMap, now: OffsetDateTime) -> Option<time::Duration> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let behind = OffsetDateTime::parse(date, &Rfc2822).ok()? - now;
    (behind.abs() > SKEW).then_some(behind)
}

/// Returns the name of a run's session, by which CloudTrail shows what it did.
pub(crate) fn session_name(run: &str) -> String {
    format!("moat-{run}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_inside_others() {
        let xml = "<A>\n <B> x </B><B>y</B></A>";
        assert_eq!(element(xml, "B"), Some("x"));
        assert_eq!(element(element(xml, "A").unwrap(), "C"), None);
        assert_eq!(element("<B>x", "B"), None);
    }
}
