//! What a client says about its signature.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName};
use http::request;
use moat_provider_core::{Error, ErrorKind, Result};
use time::OffsetDateTime;

use super::{ALGORITHM, Scope, Stamp, decoded, pairs};

pub(super) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
pub(super) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The names of a presigned URL's own parameters, in lower case.
pub(super) const QUERY_NAMES: [&str; 6] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned URL.
    Query,
}

/// A signature and what it is for, not yet verified.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) form: Form,
    pub(super) key_id: String,
    pub(super) scope: Scope,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
    pub(super) stamp: Stamp,
    pub(super) at: OffsetDateTime,
}

impl Claim {
    /// Reads the signature of a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] for one that makes no sense, [`ErrorKind::Unsupported`] for
    /// another algorithm.
    pub(super) fn read(head: &request::Parts) -> Result<Self> {
        let query = head.uri.query().unwrap_or_default();
        let in_query = pairs(query).any(|(name, _)| {
            let name = String::from_utf8_lossy(&decoded(name)).to_ascii_lowercase();
            QUERY_NAMES.contains(&&*name) || name == "awsaccesskeyid"
        });
        match (head.headers.contains_key(AUTHORIZATION), in_query) {
            (true, false) => Self::in_header(head),
            (false, true) => Self::in_query(query),
            (true, true) => Err(mangled("it is signed twice, in a header and in the query")),
            (false, false) => Err(mangled("it is not signed")),
        }
    }

    fn in_header(head: &request::Parts) -> Result<Self> {
        let text = only(head, &AUTHORIZATION)?;
        let Some((algorithm, fields)) = text.split_once(' ') else {
            return Err(unsupported(text));
        };
        if algorithm != ALGORITHM {
            return Err(unsupported(algorithm));
        }
        let field = |name: &str| -> Result<&str> {
            let mut found = fields.split(',').filter_map(|field| {
                let (own, value) = field.trim().split_once('=')?;
                (own == name).then_some(value)
            });
            match (found.next(), found.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(mangled("its Authorization header has not each field once")),
            }
        };
        Self::new(
            Form::Header,
            field("Credential")?,
            field("SignedHeaders")?,
            field("Signature")?,
            only(head, &DATE)?,
        )
    }

    fn in_query(query: &str) -> Result<Self> {
        let value = |wanted: &str| -> Result<String> {
            let mut found = pairs(query).filter_map(|(name, value)| {
                let name = decoded(name);
                name.eq_ignore_ascii_case(wanted.as_bytes()).then(|| decoded(value))
            });
            match (found.next(), found.next()) {
                (Some(value), None) => String::from_utf8(value)
                    .map_err(|_| mangled("a parameter of its signature is not text")),
                (None, _) => Err(mangled("a parameter of its signature is missing")),
                (Some(_), Some(_)) => Err(mangled("a parameter of its signature is there twice")),
            }
        };
        let algorithm = value("x-amz-algorithm").map_err(|_| unsupported("AWS"))?;
        if algorithm != ALGORITHM {
            return Err(unsupported(&algorithm));
        }
        Self::new(
            Form::Query,
            &value("x-amz-credential")?,
            &value("x-amz-signedheaders")?,
            &value("x-amz-signature")?,
            &value("x-amz-date")?,
        )
    }

    fn new(
        form: Form,
        credential: &str,
        signed_headers: &str,
        signature: &str,
        date: &str,
    ) -> Result<Self> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [key_id, day, region, service, "aws4_request"] = parts.as_slice() else {
            return Err(mangled("the scope of its signature is malformed"));
        };
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let (stamp, at) = Stamp::parse(date)
            .filter(|(stamp, _)| stamp.day() == *day)
            .ok_or_else(|| mangled("the date of its signature is malformed"))?;
        if !plain(region) || !plain(service) {
            return Err(mangled("the scope of its signature is malformed"));
        }
        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_owned).collect();
        let in_order = signed_headers.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || !signed_headers.iter().any(|name| name == "host") {
            return Err(mangled("the list of its signed headers is malformed or lacks the host"));
        }
        Ok(Self {
            form,
            key_id: (*key_id).to_owned(),
            scope: Scope {
                day: (*day).to_owned(),
                region: (*region).to_owned(),
                service: (*service).to_owned(),
            },
            signed_headers,
            signature: signature.to_owned(),
            stamp,
            at,
        })
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("form", &self.form)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Returns the value of a header that is there exactly once.
pub(super) fn only<'h>(head: &'h request::Parts, name: &HeaderName) -> Result<&'h str> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(mangled(format!("its {name} header is not there exactly once"))),
    }
}

/// Refuses a request whose signature does not come from this run's key.
pub(super) fn mangled(why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the request cannot be signed anew: {why}"))
        .with_hint("use the keys that this run was given, as they stand in the environment")
}

/// Refuses an algorithm. What asks for the asymmetric one is named, with what to do instead.
fn unsupported(algorithm: &str) -> Error {
    let (what, hint) = match algorithm {
        "AWS4-ECDSA-P256-SHA256" => (
            "the asymmetric Signature Version 4A",
            "set AWS_AUTH_SCHEME_PREFERENCE=sigv4, and use regional endpoints instead of \
             multi-region ones (AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS=true)",
        ),
        _ if algorithm.starts_with("AWS ") || algorithm == "AWS" => (
            "Signature Version 2",
            "set signature_version to s3v4, or use a newer version of the program",
        ),
        _ => ("an algorithm other than AWS4-HMAC-SHA256", "sign with Signature Version 4"),
    };
    Error::new(ErrorKind::Unsupported, format!("the request is signed with {what}")).with_hint(hint)
}
