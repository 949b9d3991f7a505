//! What a container is told about a key that Google does not accept any more.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, request, response};
use moat_provider_core::{CredentialInfo, Interest, Placeholder, ResponseTransformer, Result};
use serde_json::{Value, json};

use crate::api::API_KEY;

/// The keys of a query that authenticate.
pub(crate) const QUERY_KEYS: [&str; 2] = ["key", "access_token"];

/// How Google names a key that is unknown, deleted or expired, in an answer with status 400.
///
/// Source: Google APIs, `google/api/error_reason.proto`.
const REASON: &str = "API_KEY_INVALID";

/// How long Google's answer may be, in bytes; it has a few hundred.
const LIMIT: usize = 16 * 1024;

/// Says in Google's own answer what to do. Its form stays, by which clients know what happened.
///
/// The status does not tell: Google answers 400 to what is wrong with a request as well.
#[derive(Debug)]
pub(crate) struct RejectedKey {
    placeholder: Placeholder,
    message: String,
}

impl RejectedKey {
    /// Makes what changes the answers to requests with this grant's key.
    pub(crate) fn new(info: &CredentialInfo, placeholder: Placeholder) -> Self {
        let grant = info.key();
        let message = format!(
            "Google does not accept the key of the grant {grant} any more. Outside of this \
             sandbox, run: moat grant {grant}"
        );
        Self { placeholder, message }
    }

    /// Whether the request got the grant's key: it has no other one.
    fn is_filled(&self, request: &request::Parts) -> bool {
        let is_ours = |headers: &HeaderMap, name| {
            let mut values = headers.get_all(name).iter();
            values.all(|value| value.is_empty() || self.placeholder.is_carried_by(value))
        };
        let mut query = request.uri.query().unwrap_or_default().split('&');
        is_ours(&request.headers, API_KEY)
            && is_ours(&request.headers, AUTHORIZATION)
            && query.all(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let authenticates = QUERY_KEYS.contains(&name);
                !authenticates || value.is_empty() || value == self.placeholder.as_str()
            })
    }
}

impl ResponseTransformer for RejectedKey {
    fn interest(&self, request: &request::Parts, response: &response::Parts) -> Interest {
        let media_type = response.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let is_json = media_type.is_some_and(|name| name.starts_with(b"application/json"));
        match response.status == StatusCode::BAD_REQUEST && is_json && self.is_filled(request) {
            true => Interest::Body { limit: LIMIT },
            false => Interest::None,
        }
    }

    fn is_rejection(&self, _: &request::Parts, body: &Bytes) -> bool {
        serde_json::from_slice(body).is_ok_and(|mut answer| rejection(&mut answer).is_some())
    }

    fn transform_body(&self, _: &request::Parts, body: Bytes) -> Result<Bytes> {
        let Ok(mut answer) = serde_json::from_slice(&body) else { return Ok(body) };
        let Some(error) = rejection(&mut answer) else { return Ok(body) };
        error["message"] = json!(self.message);
        Ok(answer.to_string().into())
    }
}

/// Finds the error of an answer that says that the key is not accepted.
fn rejection(answer: &mut Value) -> Option<&mut Value> {
    // An answer that would have been a stream is a list.
    let error = match answer {
        Value::Array(answers) => answers.first_mut()?.get_mut("error")?,
        answer => answer.get_mut("error")?,
    };
    let details = error["details"].as_array().into_iter().flatten();
    let is_rejection = error.is_object() && details.into_iter().any(|it| it["reason"] == REASON);
    is_rejection.then_some(error)
}
