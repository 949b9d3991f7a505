//! Objects of S3 in memory: put, copy, get with ranges, delete, list by pages, uploads in parts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, RANGE};
use http::request::Parts;

use super::payload::{Received, hash_of};
use super::verify::decoded;
use crate::vendor::{Reply, text};

const COPY_SOURCE: &str = "x-amz-copy-source";

/// What is stored.
#[derive(Default)]
pub(super) struct Objects {
    stored: Mutex<BTreeMap<String, Bytes>>,
    parts: Mutex<BTreeMap<usize, Bytes>>,
}

impl Objects {
    /// Answers a request of whoever may do everything. `path` leads from the bucket to the object.
    pub(super) fn answer(&self, head: &Parts, path: &str, received: Received) -> Reply {
        let key = decoded(path).trim_start_matches('/').to_owned();
        let query = head.uri.query().unwrap_or_default();
        let parameter = |name: &str| parameter(query, name);
        match (&head.method, parameter("uploadId"), parameter("partNumber")) {
            (&Method::PUT, Some(_), Some(number)) => {
                let tag = tagged(&received.hash);
                self.parts.lock().unwrap().insert(number.parse().unwrap(), received.content);
                tag
            }
            (&Method::POST, Some(_), None) => {
                let parts = std::mem::take(&mut *self.parts.lock().unwrap());
                let mut whole = BytesMut::new();
                parts.values().for_each(|part| whole.extend_from_slice(part));
                self.stored.lock().unwrap().insert(key.clone(), whole.freeze());
                let result = element("Bucket", "reports") + &element("ETag", "\"whole\"");
                xml(
                    200,
                    &element("CompleteMultipartUploadResult", &(result + &element("Key", "k"))),
                )
            }
            (&Method::POST, None, None) if parameter("uploads").is_some() => {
                let id = element("Bucket", "reports") + &element("UploadId", "upload-1");
                xml(200, &element("InitiateMultipartUploadResult", &(id + &element("Key", "k"))))
            }
            (&Method::PUT, None, None) if head.headers.contains_key(COPY_SOURCE) => {
                let source = decoded(head.headers[COPY_SOURCE].to_str().unwrap());
                let source = source.trim_start_matches('/').strip_prefix("reports/").unwrap();
                let mut stored = self.stored.lock().unwrap();
                let object = stored[source].clone();
                stored.insert(key, object);
                xml(200, &element("CopyObjectResult", &element("ETag", "\"copy\"")))
            }
            (&Method::PUT, None, None) => {
                let tag = tagged(&received.hash);
                self.stored.lock().unwrap().insert(key, received.content);
                tag
            }
            (&Method::DELETE, None, None) => {
                self.stored.lock().unwrap().remove(&key);
                text(204, "")
            }
            (&Method::GET, None, None) if key.is_empty() => self.list(query),
            (&Method::GET | &Method::HEAD, None, None) => {
                match self.stored.lock().unwrap().get(&key) {
                    Some(object) => get(head, object),
                    None if head.method == Method::HEAD => text(404, ""),
                    None => xml(404, &element("Error", &element("Code", "NoSuchKey"))),
                }
            }
            _ => xml(501, &element("Error", &element("Code", "NotImplemented"))),
        }
    }

    /// Lists one page: `continuation-token` is the last key of the page before.
    fn list(&self, query: &str) -> Reply {
        let prefix = parameter(query, "prefix").unwrap_or_default();
        let after = parameter(query, "continuation-token").unwrap_or_default();
        let most = parameter(query, "max-keys").map_or(1000, |most| most.parse().unwrap());
        let stored = self.stored.lock().unwrap();
        let rest = stored.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let mut found: Vec<_> = rest.take(most + 1).collect();
        let is_truncated = found.len() > most;
        found.truncate(most);
        let mut result =
            element("Name", "reports") + &element("KeyCount", &found.len().to_string());
        result += &element("IsTruncated", &is_truncated.to_string());
        if let Some((last, _)) = found.last().filter(|_| is_truncated) {
            result += &element("NextContinuationToken", &escaped(last));
        }
        for (key, object) in found {
            let about = element("Key", &escaped(key)) + &element("Size", &object.len().to_string());
            let about = about + &element("LastModified", "2026-11-28T10:00:00.000Z");
            result += &element("Contents", &(about + &element("ETag", "\"tag\"")));
        }
        xml(200, &element("ListBucketResult", &result))
    }
}

/// Returns a parameter of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find_map(|(own, value)| (own == name).then(|| decoded(value)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn get(head: &Parts, object: &Bytes) -> Reply {
    let range = head.headers.get(RANGE).and_then(|range| {
        let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let last = last.parse().unwrap_or(object.len() - 1).min(object.len() - 1);
        Some((first.parse::<usize>().ok()?, last))
    });
    let mut reply = match range {
        Some((first, last)) => {
            let mut reply = text(206, object.slice(first..=last));
            let range = format!("bytes {first}-{last}/{}", object.len());
            reply.headers_mut().insert("content-range", range.parse().unwrap());
            reply
        }
        None if head.method == Method::HEAD => {
            let mut reply = text(200, "");
            reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(object.len()));
            reply
        }
        None => text(200, object.clone()),
    };
    let headers = reply.headers_mut();
    headers.insert(LAST_MODIFIED, HeaderValue::from_static("Sat, 28 Nov 2026 10:00:00 GMT"));
    headers.insert(ETAG, tag(&hash_of(object)));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    reply
}

fn tag(hash: &str) -> HeaderValue {
    format!("\"{}\"", &hash[..32]).parse().unwrap()
}

fn tagged(hash: &str) -> Reply {
    let mut reply = text(200, "");
    reply.headers_mut().insert(ETAG, tag(hash));
    reply
}

pub(super) fn element(name: &str, inside: &str) -> String {
    format!("<{name}>{inside}</{name}>")
}

pub(super) fn xml(status: u16, document: &str) -> Reply {
    let mut reply = text(status, format!("<?xml version=\"1.0\"?>{document}"));
    let kind = HeaderValue::from_static("application/xml");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}
