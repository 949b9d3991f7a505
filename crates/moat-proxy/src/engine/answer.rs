//! Answers: replaced, transformed, and relieved of the secrets that they issue.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALT_SVC, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderName,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING,
};
use http::{HeaderValue, Method, Request, StatusCode, request, response};
use moat_provider_core::{
    CannedAnswer, Companion, Interest, Placeholder, ResponseTransformer, Result, TransformRule,
};
use zeroize::Zeroizing;

use super::hold::{self, FieldToHold, HeldSecret};
use super::table::{Filling, Issuing};
use crate::{Reason, Refusal};

/// How long the answer of an issuing endpoint may be.
const HOLD_LIMIT: usize = 1024 * 1024;

/// Headers that say something about the bytes of a body that was changed.
const DIGESTS: [HeaderName; 6] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    ETAG,
    ACCEPT_RANGES,
];

/// What is to be done with the answer to one request.
#[derive(Default)]
pub struct AnswerPlan {
    /// The request as the client sent it, when a transformer wants to see it.
    client: Option<Box<request::Parts>>,
    is_head: bool,
    transformers: Vec<Arc<dyn ResponseTransformer>>,
    /// Rules that were used and replace answers, and the request's canonical path.
    rewriting: Vec<Arc<Filling>>,
    path: Box<str>,
    holds: Vec<Arc<Issuing>>,
    /// Subprotocols that hold a secret, and what the client offered instead.
    subprotocols: Vec<(Zeroizing<String>, String)>,
}

/// What is to be done with an answer's body.
#[derive(Debug)]
pub enum AnswerBody {
    /// It streams.
    Stream,
    /// The whole answer is replaced by this one.
    Replace(CannedAnswer),
    /// It is collected, without its codings.
    Collect(Collect),
}

impl AnswerPlan {
    /// Begins with the request as the client sent it.
    pub(super) fn begin<'a>(
        &mut self,
        request: &request::Parts,
        transforms: impl Iterator<Item = &'a TransformRule>,
    ) {
        self.is_head = request.method == Method::HEAD;
        self.transformers = transforms.map(|rule| rule.transformer().clone()).collect();
        if !self.transformers.is_empty() {
            let mut client = Request::new(()).into_parts().0;
            client.method = request.method.clone();
            client.uri = request.uri.clone();
            client.version = request.version;
            client.headers = request.headers.clone();
            self.client = Some(Box::new(client));
        }
    }

    /// Has a rule that was used replace answers.
    pub(super) fn rewrite_by(&mut self, rule: &Arc<Filling>, path: &str) {
        if rule.rule.companions().iter().any(|one| matches!(one, Companion::RewriteAnswer(_))) {
            self.rewriting.push(rule.clone());
            self.path = path.into();
        }
    }

    /// Has fields of the answer held.
    pub(super) fn hold(&mut self, issuing: Arc<Issuing>) {
        if !self.holds.iter().any(|known| Arc::ptr_eq(known, &issuing)) {
            self.holds.push(issuing);
        }
    }

    pub(super) fn holds(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Has a subprotocol that the server selects turned back into what the client offered.
    pub(super) fn turn_back(&mut self, sent: Zeroizing<String>, offered: String) {
        self.subprotocols.push((sent, offered));
    }

    /// Changes the head of the answer, and says what is to be done with its body. Not for
    /// informational answers other than 101.
    ///
    /// # Errors
    ///
    /// A refusal, which takes the answer's place.
    pub fn on_head(&self, response: &mut response::Parts) -> Result<AnswerBody, Refusal> {
        // It would lead the client past the proxy.
        response.headers.remove(ALT_SVC);
        self.turn_subprotocol_back(response);
        if let Some(answer) = self.replacement(response.status) {
            return Ok(AnswerBody::Replace(answer.clone()));
        }
        let mut collect = Collect::default();
        if let Some(client) = &self.client {
            for transformer in &self.transformers {
                let interest = transformer.interest(client, response);
                if interest == Interest::None {
                    continue;
                }
                transformer
                    .transform_head(client, response)
                    .map_err(|_| Refusal::new(Reason::TransformFailed))?;
                if let Interest::Body { limit } = interest {
                    collect.transformers.push((transformer.clone(), limit));
                }
            }
        }
        collect.holds.clone_from(&self.holds);
        let has_body = !self.is_head
            && !response.status.is_informational()
            && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
        if has_body && !(collect.transformers.is_empty() && collect.holds.is_empty()) {
            Ok(AnswerBody::Collect(collect))
        } else {
            Ok(AnswerBody::Stream)
        }
    }

    fn replacement(&self, status: StatusCode) -> Option<&CannedAnswer> {
        let companions = self.rewriting.iter().flat_map(|rule| rule.rule.companions());
        companions
            .filter_map(|companion| match companion {
                Companion::RewriteAnswer(rewrite) => Some(rewrite),
                _ => None,
            })
            .find(|rewrite| rewrite.applies(&self.path, status))
            .map(|rewrite| rewrite.answer())
    }

    fn turn_subprotocol_back(&self, response: &mut response::Parts) {
        for (sent, offered) in &self.subprotocols {
            let selected = response.headers.get(SEC_WEBSOCKET_PROTOCOL);
            if selected.is_some_and(|value| value.as_bytes() == sent.as_bytes())
                && let Ok(offered) = HeaderValue::from_str(offered)
            {
                response.headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
            }
        }
    }
}

impl fmt::Debug for AnswerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerPlan")
            .field("transformers", &self.transformers)
            .finish_non_exhaustive()
    }
}

/// A body to be collected.
#[derive(Default)]
pub struct Collect {
    transformers: Vec<(Arc<dyn ResponseTransformer>, usize)>,
    holds: Vec<Arc<Issuing>>,
}

/// A body that was changed, and what was taken out of it.
#[derive(Debug)]
pub struct Collected {
    /// The body for the client.
    pub body: Bytes,
    /// The secrets that the host keeps: for [`Generation::with_bindings`](super::Generation), before
    /// the answer reaches the client.
    pub held: Vec<HeldSecret>,
    /// Whether the body says that a secret of the request is not accepted any more.
    pub is_rejection: bool,
}

impl Collect {
    /// Returns how many decoded bytes are collected at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        let transformers = self.transformers.iter().map(|(_, limit)| *limit);
        let holding = (!self.holds.is_empty()).then_some(HOLD_LIMIT);
        transformers.chain(holding).max().unwrap_or(0)
    }

    /// Whether a longer body, or one that cannot be decoded, is refused with
    /// [`Reason::AnswerTooLong`] or [`Reason::UnreadableAnswer`]; else it passes as it
    /// is.
    #[must_use]
    pub fn must_fit(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Changes the collected body and the head that goes with it. `mint` makes the placeholder of a
    /// field: one that [`Generation::held_placeholder`](super::Generation::held_placeholder) knows,
    /// or a new one with a label that no other has.
    ///
    /// # Errors
    ///
    /// A refusal, which takes the answer's place.
    pub fn finish(
        self,
        plan: &AnswerPlan,
        response: &mut response::Parts,
        body: Bytes,
        mint: &mut dyn FnMut(&FieldToHold<'_>) -> Result<Placeholder>,
    ) -> Result<Collected, Refusal> {
        let before = body.clone();
        let (mut body, held) = hold::take(&self.holds, response, body, HOLD_LIMIT, mint)?;
        let mut is_rejection = false;
        if let Some(client) = &plan.client {
            for (transformer, limit) in &self.transformers {
                if body.len() <= *limit {
                    is_rejection |= transformer.is_rejection(client, &body);
                    body = transformer
                        .transform_body(client, body)
                        .map_err(|_| Refusal::new(Reason::TransformFailed))?;
                }
            }
        }
        let headers = &mut response.headers;
        headers.remove(CONTENT_ENCODING);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, body.len().into());
        if body != before {
            for name in DIGESTS {
                headers.remove(name);
            }
        }
        Ok(Collected { body, held, is_rejection })
    }
}

impl fmt::Debug for Collect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect")
            .field("limit", &self.limit())
            .field("must_fit", &self.must_fit())
            .finish_non_exhaustive()
    }
}
