//! Answers that are made or changed on the way.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, request, response};

use crate::{PathPattern, ProviderName, Result, Target};

/// A complete answer, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannedAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl CannedAnswer {
    /// Makes an answer without a body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Makes an answer of JSON text.
    #[must_use]
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut answer =
            Self::new(status).header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.body = body.into();
        answer
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers, without those that frame the body.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// "This status on this path becomes that answer": part of the rule that was used for the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRewrite {
    path: PathPattern,
    status: StatusCode,
    answer: CannedAnswer,
}

impl AnswerRewrite {
    /// Makes a rewrite.
    #[must_use]
    pub fn new(path: PathPattern, status: StatusCode, answer: CannedAnswer) -> Self {
        Self { path, status, answer }
    }

    /// Whether an answer with this status, to a request for this canonical path, is replaced.
    #[must_use]
    pub fn applies(&self, path: &str, status: StatusCode) -> bool {
        self.status == status && self.path.matches(path)
    }

    /// Returns what takes its place.
    #[must_use]
    pub fn answer(&self) -> &CannedAnswer {
        &self.answer
    }
}

/// "This request is answered here": it never reaches the vendor.
///
/// A 426 that makes a client leave WebSocket, a token endpoint that hands out placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAnswer {
    owner: ProviderName,
    target: Target,
    answer: CannedAnswer,
}

impl LocalAnswer {
    /// Makes an answer in the name of a provider.
    #[must_use]
    pub fn new(owner: ProviderName, target: Target, answer: CannedAnswer) -> Self {
        Self { owner, target, answer }
    }

    /// Returns the provider whose rule this is.
    #[must_use]
    pub fn owner(&self) -> &ProviderName {
        &self.owner
    }

    /// Returns which requests are answered.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the answer.
    #[must_use]
    pub fn answer(&self) -> &CannedAnswer {
        &self.answer
    }
}

/// Changes answers where data is not enough.
///
/// It sees the request as the client sent it, before any secret was put in.
pub trait ResponseTransformer: fmt::Debug + Send + Sync {
    /// Says from the heads alone what it wants of an answer, so that everything else streams.
    fn interest(&self, request: &request::Parts, response: &response::Parts) -> Interest;

    /// Changes the head. Called for [`Interest::Head`] and, before the body, for
    /// [`Interest::Body`].
    ///
    /// # Errors
    ///
    /// Any; the proxy then answers 502.
    fn transform_head(
        &self,
        request: &request::Parts,
        response: &mut response::Parts,
    ) -> Result<()> {
        let _ = (request, response);
        Ok(())
    }

    /// Whether a whole decoded body says that the vendor does not accept the secret any more which
    /// was put into the request. The host then hears of it, as it does of each 401, and does what
    /// it can: renews the secret, or tells its person. Called before the body is changed.
    ///
    /// For vendors that say so with another status; the default is never.
    fn is_rejection(&self, request: &request::Parts, body: &Bytes) -> bool {
        let _ = (request, body);
        false
    }

    /// Changes a whole decoded body. The proxy sets `Content-Length` and drops `Content-Encoding`.
    ///
    /// # Errors
    ///
    /// Any; the proxy then answers 502.
    fn transform_body(&self, request: &request::Parts, body: Bytes) -> Result<Bytes> {
        let _ = request;
        Ok(body)
    }
}

/// What a [`ResponseTransformer`] wants of an answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing: the answer passes as it is.
    None,
    /// The head; the body streams.
    Head,
    /// Head and whole body, up to this many bytes decoded; a longer body passes as it is.
    Body {
        /// The bound in bytes.
        limit: usize,
    },
}
