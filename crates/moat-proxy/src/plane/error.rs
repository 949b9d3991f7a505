//! Why a request was refused or failed, and the answer that says so.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, PROXY_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

/// The header of an answer that a policy or a rule caused; its value is the reason.
pub const BLOCKED: HeaderName = HeaderName::from_static("x-moat-blocked");
/// The header of an answer that a failure caused; its value is the reason.
pub const FAILED: HeaderName = HeaderName::from_static("x-moat-error");

/// Why the data plane itself refused a request or failed at it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The run token is missing or wrong.
    ProxyAuth,
    /// The request is malformed, or open to two readings.
    BadRequest,
    /// The authority is missing or malformed.
    BadAuthority,
    /// The server name of the TLS handshake is not the host of the CONNECT request.
    SniMismatch,
    /// `TRACE`, or `CONNECT` inside a tunnel.
    MethodRefused,
    /// A malformed upgrade, or one to something other than WebSocket.
    UpgradeRefused,
    /// Something that is not TLS, on a host whose traffic is intercepted.
    NotTls,
    /// A body is longer than a rule may hold.
    BodyTooLarge,
    /// The run has as many tunnels as it may have.
    TooManyTunnels,
    /// The run has ended.
    RunStopped,
    /// The client did not complete the TLS handshake: it does not trust the CA, most often.
    ClientTls,
    /// The client went away before the end.
    ClientAborted,
    /// The credential was revoked while it was in use.
    Revoked,
    /// What a rule needs was not there in time.
    NotReady,
    /// Too many wrong run tokens came from one address.
    TooManyAttempts,
    /// A listener has as many connections as it may have.
    TooManyConnections,
    /// The name does not resolve.
    Dns,
    /// The connection was refused.
    ConnectRefused,
    /// No address of the host can be reached.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// The host's certificate does not verify.
    TlsVerify,
    /// The TLS handshake with the host failed.
    TlsHandshake,
    /// The upstream proxy refused or failed.
    UpstreamProxy,
    /// The host closed or reset the connection.
    UpstreamReset,
    /// The host broke the protocol.
    UpstreamProtocol,
    /// The host did not begin to answer in time.
    UpstreamTimeout,
    /// Nothing passed through a tunnel for too long.
    IdleTimeout,
    /// A fault of the proxy.
    Internal,
}

impl Reason {
    /// Returns the stable, machine-readable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProxyAuth => "proxy-auth",
            Self::BadRequest => "bad-request",
            Self::BadAuthority => "bad-authority",
            Self::SniMismatch => "sni-mismatch",
            Self::MethodRefused => "method-refused",
            Self::UpgradeRefused => "upgrade-refused",
            Self::NotTls => "not-tls",
            Self::BodyTooLarge => "body-too-large",
            Self::TooManyTunnels => "too-many-tunnels",
            Self::RunStopped => "run-stopped",
            Self::ClientTls => "client-tls",
            Self::ClientAborted => "client-aborted",
            Self::Revoked => "credential-revoked",
            Self::NotReady => "not-ready",
            Self::TooManyAttempts => "too-many-attempts",
            Self::TooManyConnections => "too-many-connections",
            Self::Dns => "dns",
            Self::ConnectRefused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect-timeout",
            Self::TlsVerify => "tls-verify",
            Self::TlsHandshake => "tls-handshake",
            Self::UpstreamProxy => "upstream-proxy",
            Self::UpstreamReset => "upstream-reset",
            Self::UpstreamProtocol => "upstream-protocol",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::Internal => "internal",
        }
    }

    /// Returns the status of the answer that reports this reason.
    const fn status(self) -> StatusCode {
        match self {
            Self::ProxyAuth => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::BadRequest | Self::BadAuthority | Self::UpgradeRefused | Self::NotTls => {
                StatusCode::BAD_REQUEST
            }
            Self::SniMismatch => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyTunnels | Self::TooManyConnections | Self::RunStopped => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReady | Self::ConnectTimeout | Self::UpstreamTimeout | Self::IdleTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the two headers an answer of the proxy carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Blocked,
    Failed,
}

/// A request that is not forwarded, and the answer to give instead.
///
/// Text is static or made of parts that are not secret.
#[derive(Debug)]
pub struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    cause: Cause,
    status: StatusCode,
    reason: &'static str,
    message: Cow<'static, str>,
    rule: Option<String>,
    fix: Option<Cow<'static, str>>,
}

impl Refusal {
    /// Makes a refusal by a policy or a rule: 403 with [`BLOCKED`].
    #[must_use]
    pub fn blocked(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::make(Cause::Blocked, StatusCode::FORBIDDEN, reason, message.into())
    }

    /// Makes a failure of the data plane, with [`FAILED`] and the status of the reason.
    #[must_use]
    pub fn failed(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self::make(Cause::Failed, reason.status(), reason.as_str(), message.into())
    }

    fn make(
        cause: Cause,
        status: StatusCode,
        reason: &'static str,
        message: Cow<'static, str>,
    ) -> Self {
        Self(Box::new(Inner { cause, status, reason, message, rule: None, fix: None }))
    }

    /// Sets another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Names the rule.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Into<String>) -> Self {
        self.0.rule = Some(rule.into());
        self
    }

    /// Says what the person can do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<Cow<'static, str>>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// Returns the machine-readable reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// Returns the status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the rule that refused, if one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.0.rule.as_deref()
    }

    /// Makes the answer.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let inner = *self.0;
        let mut error = serde_json::Map::new();
        error.insert("reason".to_owned(), inner.reason.into());
        error.insert("message".to_owned(), inner.message.as_ref().into());
        if let Some(rule) = inner.rule {
            error.insert("rule".to_owned(), rule.into());
        }
        if let Some(fix) = inner.fix {
            error.insert("fix".to_owned(), fix.as_ref().into());
        }
        let body = serde_json::json!({ "error": error }).to_string();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = inner.status;
        let headers = response.headers_mut();
        let marker = if inner.cause == Cause::Blocked { BLOCKED } else { FAILED };
        headers.insert(marker, HeaderValue::from_static(inner.reason));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        );
        if inner.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let challenge = HeaderValue::from_static("Basic realm=\"moat\"");
            headers.insert(PROXY_AUTHENTICATE, challenge);
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Refusal {}

/// An exchange that ends without a proper end: the client's stream is reset.
#[derive(Debug)]
pub(crate) struct Abort {
    reason: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Abort {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, source: None }
    }

    /// Keeps the cause, in which hyper finds the reset code of the other hop.
    pub(crate) fn because(
        reason: Reason,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { reason: reason.as_str(), source: Some(source.into()) }
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange was cut: {}", self.reason)
    }
}

impl StdError for Abort {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error while a proxy is set up.
#[derive(Debug)]
pub struct SetupError {
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl SetupError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for SetupError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_in_header_and_body() {
        let refusal = Refusal::blocked("policy", "no \"such\"\nhost").with_rule("strict");
        let response = refusal.with_fix("allow it").into_response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.headers()[BLOCKED], "policy");
        assert_eq!(
            &response.body()[..],
            br#"{"error":{"fix":"allow it","message":"no \"such\"\nhost","reason":"policy","rule":"strict"}}"#
        );
    }

    #[test]
    fn only_a_missing_token_is_challenged() {
        let challenged = |reason| {
            let response = Refusal::failed(reason, "x").into_response();
            response.headers().contains_key(PROXY_AUTHENTICATE)
        };
        assert!(challenged(Reason::ProxyAuth));
        assert!(!challenged(Reason::Dns));
    }
}
