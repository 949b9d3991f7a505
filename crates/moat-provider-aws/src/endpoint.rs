//! Endpoints at which programs in the container fetch keys.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use moat_provider_core::{
    Alphabet, BoxFuture, CredentialInfo, EndpointCall, EndpointHandler, EndpointRouter, Error,
    ErrorKind, Placeholder, PlaceholderShape, Result, RunContext, Secret, Secrets,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::keys::{DummyKeys, Keys};
use crate::settings::{Mode, Settings};

/// The path for SDKs: the format of container credentials.
pub(crate) const CONTAINER: &str = "/credentials";
/// The path for `credential_process`.
pub(crate) const PROCESS: &str = "/process";

/// How long keys may take: less than the ten seconds that programs wait.
const PATIENCE: Duration = Duration::from_secs(9);
/// When to ask again, in seconds.
const AGAIN: &str = "5";

/// Returns the token of the endpoints of a grant.
///
/// # Errors
///
/// Those of [`RunContext::placeholder`].
pub(crate) fn token(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::new().random(Alphabet::Base64Url, 43);
    run.placeholder(info.key(), "endpoint", &shape)
}

/// Registers both endpoints. Where the proxy signs, they hand out the dummy keys, so that a program
/// that is set up for them works in either mode.
///
/// # Errors
///
/// Those of the router, and of settings that make no sense.
pub(crate) fn register(
    router: &mut EndpointRouter,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let dummy = match Settings::of(info)?.mode {
        Mode::Signing => Some(DummyKeys::of(info.key(), run)?),
        Mode::Endpoint => None,
    };
    for (path, format) in [(CONTAINER, Format::Container), (PROCESS, Format::Process)] {
        let handler = Arc::new(Handler { format, dummy: dummy.clone() });
        router.get(path, AUTHORIZATION, token(info, run)?, handler)?;
    }
    Ok(())
}

/// How keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// AWS SDKs and Tools reference guide, "Container credential provider".
    Container,
    /// The same, "Process credential provider", version 1.
    Process,
}

#[derive(Debug)]
struct Handler {
    format: Format,
    dummy: Option<DummyKeys>,
}

impl EndpointHandler for Handler {
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async move {
            match self.keys(&call).await {
                Ok(body) => answer(StatusCode::OK, &body),
                Err(error) => refusal(&error),
            }
        })
    }
}

impl Handler {
    async fn keys(&self, call: &EndpointCall<'_>) -> Result<Value> {
        let mut waiting = call.secrets.current();
        let mut limit = pin!(call.clock.sleep(PATIENCE));
        let current = poll_fn(|cx| match waiting.as_mut().poll(cx) {
            Poll::Ready(current) => Poll::Ready(current),
            Poll::Pending => limit
                .as_mut()
                .poll(cx)
                .map(|()| Err(Error::new(ErrorKind::TimedOut, "the keys did not arrive in time"))),
        });
        let (secrets, expires_at) = current.await?;
        self.write(&secrets, expires_at)
    }

    fn write(&self, secrets: &Secrets, expires_at: Option<OffsetDateTime>) -> Result<Value> {
        let keys = match &self.dummy {
            Some(dummy) => Keys {
                id: Secret::new(dummy.id.as_str().to_owned()),
                secret: Secret::new(dummy.secret.clone()),
                token: None,
            },
            None => Keys::of_session(secrets)?,
        };
        let token = keys.token.as_ref().map(exposed);
        let mut body = json!({
            "AccessKeyId": exposed(&keys.id),
            "SecretAccessKey": exposed(&keys.secret),
        });
        match (self.format, token) {
            (Format::Process, token) => {
                body["Version"] = 1.into();
                if let Some(token) = token {
                    body["SessionToken"] = token.into();
                }
            }
            // SDKs take no answer without a token, an empty one they do.
            (Format::Container, token) => body["Token"] = token.unwrap_or_default().into(),
        }
        if let Some(expiry) = expires_at.and_then(|expiry| expiry.format(&Rfc3339).ok()) {
            body["Expiration"] = expiry.into();
        }
        Ok(body)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person has switched the endpoint on for this grant, and these keys are of one run"
)]
fn exposed(secret: &Secret) -> &str {
    secret.expose()
}

/// Says what kind of failure it is, and nothing of the host's identities.
fn refusal(error: &Error) -> Response<Bytes> {
    let (status, code, message) = match error.kind() {
        kind if kind.is_transient() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Unavailable",
            "AWS issues no session at the moment; ask again",
        ),
        ErrorKind::PermissionDenied => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "AccessDenied",
            "AWS refuses to assume the role; the person has to look at its trust policy",
        ),
        ErrorKind::Unauthenticated | ErrorKind::CredentialExpired | ErrorKind::TokenRevoked => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "ExpiredToken",
            "the login on the host has expired; the person has to log in again",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "the host has no session for this run; its log says why",
        ),
    };
    let mut response = answer(status, &json!({ "code": code, "message": message }));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let wait = error.retry_after().map(|wait| HeaderValue::from(wait.as_secs()));
        let wait = wait.unwrap_or(HeaderValue::from_static(AGAIN));
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
