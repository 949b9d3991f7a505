//! Signature Version 4 on the side of the client, with the dummy keys of a run.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use http::{HeaderName, Request};
use ring::{digest, hmac};

use crate::Result;
use crate::clock::SystemClock;
use crate::world::HOST;

/// What stands for a body whose digest nobody states.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// What stands for a body whose chunks are signed one by one.
const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const REGION: &str = "eu-central-1";

/// How a client signs long bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payload {
    /// Not: TLS guards it, as the SDKs see it.
    Unsigned,
    /// Chunk by chunk, as the SDK for Java does.
    Chunks,
}

/// An access key.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Keys {
    /// Signs a request without a body, as it would go to S3.
    pub(crate) fn sign(&self, request: &mut Request<()>) -> Result<()> {
        self.sign_as(request, &hash(b"")).map(drop)
    }

    /// Signs a request with a body, and returns what signs its chunks, if they are.
    pub(crate) fn sign_body(
        &self,
        request: &mut Request<()>,
        payload: Payload,
        length: u64,
    ) -> Result<Option<Chain>> {
        if payload == Payload::Unsigned {
            return self.sign_as(request, UNSIGNED).map(|_| None);
        }
        let headers = request.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
        headers.insert("x-amz-decoded-content-length", HeaderValue::from(length));
        self.sign_as(request, CHUNKS).map(Some)
    }

    fn sign_as(&self, request: &mut Request<()>, payload: &str) -> Result<Chain> {
        let now = moat_provider_core::Clock::now(&SystemClock);
        let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let stamp = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let headers = request.headers_mut();
        headers.insert("x-amz-date", stamp.parse()?);
        headers.insert("x-amz-content-sha256", payload.parse()?);
        let names: [HeaderName; 2] = [
            HeaderName::from_static("x-amz-content-sha256"),
            HeaderName::from_static("x-amz-date"),
        ];
        let mut lines = format!("host:{HOST}\n");
        for name in &names {
            lines.push_str(&format!("{name}:{}\n", headers[name].to_str()?));
        }
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let (method, path) = (request.method(), request.uri().path());
        let canonical = format!("{method}\n{path}\n\n{lines}\n{signed}\n{payload}");
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", self.secret).as_bytes());
        for part in [&*day, REGION, "s3", "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        let last = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let mut authorization = HeaderValue::from_str(&format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={last}",
            self.id
        ))?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(Chain { key, stamp, scope, last })
    }
}

/// The signatures of chunks, each of which takes in the one before.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    key: hmac::Key,
    stamp: String,
    scope: String,
    last: String,
}

impl Chain {
    /// Returns what stands in front of a chunk whose hash is known.
    pub(crate) fn head(&mut self, length: usize, hash_of_chunk: &str) -> Bytes {
        let Self { stamp, scope, last, .. } = self;
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{last}\n{}\n{hash_of_chunk}",
            hash(b"")
        );
        self.last = hex(hmac::sign(&self.key, text.as_bytes()).as_ref());
        format!("{length:x};chunk-signature={}\r\n", self.last).into()
    }
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
