//! The signer of one grant in one run.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{Method, Version, request};
use moat_provider_core::{
    BodySigning, Error, ErrorKind, RefusalBody, RequestSigner, Result, Secrets,
};
use time::OffsetDateTime;

use super::chunked::{ChunkSigner, Trailer};
use super::claim::{CONTENT_SHA256, Claim, DATE, Form, TOKEN, mangled, only};
use super::request::Draft;
use super::{EMPTY, decoded, pairs, sha256, unhex};
use crate::calls::{Calls, Judgement};
use crate::keys::{DummyKeys, Keys};
use crate::limits::{Limits, is_host_of_s3};
use crate::refusal;

/// The longest body that is held to compute its digest, where the client does not state it: Lambda,
/// Bedrock and Kinesis take no more.
const MOST_HELD: usize = 32 * 1024 * 1024;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Verifies that requests are signed with a run's dummy keys, and signs them with its session.
#[derive(Debug)]
pub(crate) struct Signer {
    dummy: DummyKeys,
    limits: Limits,
    calls: Calls,
    claims: [HeaderName; 3],
}

impl Signer {
    pub(crate) fn new(dummy: DummyKeys, limits: Limits, calls: Calls) -> Self {
        Self { dummy, limits, calls, claims: [AUTHORIZATION, TOKEN, DATE] }
    }
}

/// What stands for the body in the canonical request.
#[derive(Debug)]
enum Payload {
    /// Text that is known from the head.
    Stated(String),
    /// Text that is known, and the chunks are signed besides.
    Chunked(&'static str, Trailer),
    /// The digest of a body that has to be read first.
    Digest,
}

impl Payload {
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a form of body that cannot be signed anew.
    fn of(claim: &Claim, head: &request::Parts) -> Result<Self> {
        let stated = match head.headers.contains_key(CONTENT_SHA256) {
            true => Some(only(head, &CONTENT_SHA256)?.trim().to_owned()),
            false if claim.form == Form::Query => in_query(head),
            false => None,
        };
        match stated.as_deref() {
            Some(text) if unhex(text).is_some() => Ok(Self::Stated(text.to_owned())),
            Some(text @ (UNSIGNED | "STREAMING-UNSIGNED-PAYLOAD-TRAILER")) => {
                Ok(Self::Stated(text.to_owned()))
            }
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => {
                Ok(Self::Chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Trailer::Absent))
            }
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => {
                Ok(Self::Chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Trailer::Signed))
            }
            Some(text) if text.starts_with("STREAMING-") => Err(Error::new(
                ErrorKind::Unsupported,
                "the body is signed in a way that cannot be done anew",
            )
            .with_hint("use a call without an event stream in its request; for SigV4A set AWS_AUTH_SCHEME_PREFERENCE=sigv4")),
            Some(_) => Err(mangled("the digest of its body is malformed")),
            None if claim.form == Form::Query && claim.scope.has_plain_paths() => {
                Ok(Self::Stated(UNSIGNED.to_owned()))
            }
            None if has_no_body(head) => Ok(Self::Stated(EMPTY.to_owned())),
            None => Ok(Self::Digest),
        }
    }
}

fn in_query(head: &request::Parts) -> Option<String> {
    let query = head.uri.query()?;
    let name = CONTENT_SHA256;
    let mut found = pairs(query)
        .filter(|(own, _)| decoded(own).eq_ignore_ascii_case(name.as_str().as_bytes()))
        .map(|(_, value)| String::from_utf8_lossy(&decoded(value)).into_owned());
    found.next()
}

/// Whether HTTP/1.1 framing says that nothing follows; HTTP/2 does not tell in the head.
fn has_no_body(head: &request::Parts) -> bool {
    match head.headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes() == b"0",
        None => {
            [Method::GET, Method::HEAD, Method::DELETE].contains(&head.method)
                && head.version < Version::HTTP_2
                && !head.headers.contains_key(TRANSFER_ENCODING)
        }
    }
}

impl RequestSigner for Signer {
    fn claims(&self) -> &[HeaderName] {
        &self.claims
    }

    fn sign(
        &self,
        head: &mut request::Parts,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<BodySigning> {
        let claim = Claim::read(head)?;
        if claim.key_id != self.dummy.id.as_str() {
            return Err(mangled("it is signed with another key"));
        }
        self.limits.check(&claim.scope, head)?;
        let judgement = self.calls.judge_head(&claim.scope, head)?;
        let payload = Payload::of(&claim, head)?;
        let keys = Keys::of_session(secrets)?;
        let draft = Draft::new(claim, head)?;
        let secret = self.dummy.secret.clone();
        let payload = match payload {
            // Who has signed that there is no body sends none, or AWS refuses it. HTTP/2 does not
            // say so in the head.
            Payload::Digest if draft.verify(&secret, EMPTY).is_ok() => {
                Payload::Stated(EMPTY.to_owned())
            }
            payload => payload,
        };
        match (judgement, payload) {
            (Judgement::Allowed, Payload::Stated(digest)) => {
                let (reading, _) = draft.verify(&secret, &digest)?;
                draft.sign(head, reading, &digest, &keys, now)?;
                Ok(BodySigning::HeadOnly)
            }
            (Judgement::Allowed, Payload::Chunked(text, trailer)) => {
                let (reading, client) = draft.verify(&secret, text)?;
                let session = draft.sign(head, reading, text, &keys, now)?;
                Ok(BodySigning::Stream(Box::new(ChunkSigner::new(client, session, trailer))))
            }
            (Judgement::BodyTells(_), Payload::Chunked(..)) => Err(Error::new(
                ErrorKind::Unsupported,
                "the operation stands in a body that is signed piece by piece",
            )
            .with_hint("send the form as it is")),
            (judgement, payload) => Ok(BodySigning::Whole {
                limit: MOST_HELD,
                finish: Box::new(move |body, head| {
                    if let Judgement::BodyTells(call) = judgement {
                        call.judge_body(head, body)?;
                    }
                    let digest = match payload {
                        Payload::Stated(digest) => digest,
                        _ => sha256(body),
                    };
                    let (reading, _) = draft.verify(&secret, &digest)?;
                    draft.sign(head, reading, &digest, &keys, now).map(drop)
                }),
            }),
        }
    }

    fn refusal(&self, head: &request::Parts, message: &str) -> Option<RefusalBody> {
        // What cannot be read says nothing of its service, but its host does.
        let claimed = Claim::read(head).map(|claim| claim.scope.service);
        let named = if is_host_of_s3(head) { "s3" } else { "" };
        let service = claimed.unwrap_or_else(|_| named.to_owned());
        Some(refusal::body(&service, head, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http2_does_not_tell_whether_a_body_follows() {
        let head = |version, length: Option<&str>| {
            let mut request = http::Request::new(());
            *request.version_mut() = version;
            if let Some(length) = length {
                request.headers_mut().insert(CONTENT_LENGTH, length.parse().unwrap());
            }
            request.into_parts().0
        };
        assert!(has_no_body(&head(Version::HTTP_11, None)));
        assert!(!has_no_body(&head(Version::HTTP_2, None)));
        assert!(has_no_body(&head(Version::HTTP_2, Some("0"))));
        assert!(!has_no_body(&head(Version::HTTP_11, Some("2"))));
    }
}
