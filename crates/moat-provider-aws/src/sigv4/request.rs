//! Checking the signature of a request, and making another.

use std::fmt;

use http::header::{AUTHORIZATION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderName, Request, Uri, request};
use moat_provider_core::{Error, ErrorKind, Result, Secret};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::canonical::{QueryStyle, Slash, encode, header_value, headers, paths};
use super::claim::{Claim, DATE, Form, QUERY_NAMES, TOKEN, mangled};
use super::{ALGORITHM, Scope, SigningKey, Stamp, decoded, pairs, string_to_sign};
use crate::keys::Keys;

/// Headers that the way to AWS may change: a new signature leaves them out.
const VOLATILE: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "keep-alive",
    "sec-websocket-extensions",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-amzn-trace-id",
];

/// How far a client's clock may be off before the host's time takes the place of its own. AWS
/// itself accepts five minutes, S3 fifteen.
const SKEW: Duration = Duration::minutes(4);

/// A request whose signature is to be checked and replaced.
///
/// Holds what was signed as the client sent it: others may change the head before the body is
/// known.
pub(super) struct Draft {
    claim: Claim,
    readings: Vec<Reading>,
}

/// One canonical form that the client may have signed, up to the digest of the body.
#[derive(Clone)]
pub(super) struct Reading {
    /// The path as it is signed anew.
    path: String,
    style: QueryStyle,
    text: String,
}

/// What a signature was made with: the beginning of a chain of chunks.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    pub(super) key: SigningKey,
    pub(super) stamp: Stamp,
    pub(super) scope: Scope,
    pub(super) signature: String,
}

impl Draft {
    pub(super) fn new(claim: Claim, head: &request::Parts) -> Result<Self> {
        let value = |name: &str| header_value(head, name).or_else(|| taken_off(name));
        let (lines, names) = headers(&claim.signed_headers, value)
            .ok_or_else(|| mangled("a header that it signs is not there"))?;
        let query = head.uri.query().unwrap_or_default();
        let mut readings = Vec::new();
        for path in paths(&claim.scope, head.uri.path()) {
            for style in QueryStyle::ALL {
                let signed = pairs(query).filter(|(name, _)| {
                    claim.form == Form::Header || !is_named(name, &["x-amz-signature"])
                });
                let canonical = style.canonical(signed);
                let (method, signed) = (&head.method, &path.signed);
                let text = format!("{method}\n{signed}\n{canonical}\n{lines}\n{names}\n");
                readings.push(Reading { path: path.anew.clone(), style, text });
            }
        }
        Ok(Self { claim, readings })
    }

    /// Finds the canonical form that the client has signed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] when it has signed none of them with this key.
    pub(super) fn verify(&self, secret: &str, digest: &str) -> Result<(&Reading, Seed)> {
        let Claim { scope, stamp, signature, .. } = &self.claim;
        let key = SigningKey::derive(secret, scope);
        let credential = scope.to_string();
        let reading = self.readings.iter().find(|reading| {
            let canonical = format!("{}{digest}", reading.text);
            let text = string_to_sign(stamp.as_str(), &credential, &canonical);
            key.has_signed(&text, signature)
        });
        let reading = reading.ok_or_else(|| mangled("its signature is not of this run's key"))?;
        let (stamp, scope) = (stamp.clone(), scope.clone());
        Ok((reading, Seed { key, stamp, scope, signature: signature.clone() }))
    }

    /// Replaces the signature by that of a session.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] for a head that cannot carry it.
    pub(super) fn sign(
        &self,
        head: &mut request::Parts,
        reading: &Reading,
        digest: &str,
        keys: &Keys,
        now: OffsetDateTime,
    ) -> Result<Seed> {
        let stamp = self.stamp(now);
        let scope = Scope { day: stamp.day().to_owned(), ..self.claim.scope.clone() };
        let key = signing_key(&keys.secret, &scope);
        let seed = Seed { key, stamp, scope, signature: String::new() };
        match self.claim.form {
            Form::Header => self.sign_in_header(head, reading, digest, keys, seed),
            Form::Query => self.sign_in_query(head, reading, digest, keys, seed),
        }
    }

    /// Keeps the client's time unless its clock is off. A presigned URL may be old: AWS judges its
    /// age by the time it was made at.
    fn stamp(&self, now: OffsetDateTime) -> Stamp {
        let behind = now - self.claim.at;
        let is_off = behind < -SKEW || (behind > SKEW && self.claim.form == Form::Header);
        if is_off { Stamp::of(now) } else { self.claim.stamp.clone() }
    }

    fn sign_in_header(
        &self,
        head: &mut request::Parts,
        reading: &Reading,
        digest: &str,
        keys: &Keys,
        mut seed: Seed,
    ) -> Result<Seed> {
        head.headers.remove(AUTHORIZATION);
        head.headers.remove(TOKEN);
        head.headers.insert(DATE, value(seed.stamp.as_str())?);
        let mut names = self.names(&[HOST.as_str(), DATE.as_str()]);
        if let Some(token) = &keys.token {
            head.headers.insert(TOKEN, sensitive(token)?);
            names.push(TOKEN.as_str().to_owned());
            names.sort();
        }
        let canonical_query = reading.style.canonical(pairs(head.uri.query().unwrap_or_default()));
        seed.signature = self.signature(head, reading, &canonical_query, &names, digest, &seed)?;
        let text = authorization(&keys.id, &seed.scope, &names.join(";"), &seed.signature);
        head.headers.insert(AUTHORIZATION, hidden(&text)?);
        Ok(seed)
    }

    fn sign_in_query(
        &self,
        head: &mut request::Parts,
        reading: &Reading,
        digest: &str,
        keys: &Keys,
        mut seed: Seed,
    ) -> Result<Seed> {
        head.headers.remove(TOKEN);
        let names = self.names(&[HOST.as_str()]);
        let credential = credential(&keys.id, &seed.scope);
        let encoded = |text: &str| encode(text.as_bytes(), Slash::Encoded);
        let mut query = Zeroizing::new(String::new());
        let mut push = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.push_str(value);
        };
        for (name, value) in pairs(head.uri.query().unwrap_or_default()) {
            if !is_named(name, &QUERY_NAMES) {
                push(name, value);
            }
        }
        push("X-Amz-Algorithm", ALGORITHM);
        push("X-Amz-Credential", &encoded(&credential));
        push("X-Amz-Date", seed.stamp.as_str());
        push("X-Amz-SignedHeaders", &encoded(&names.join(";")));
        if let Some(token) = &keys.token {
            push("X-Amz-Security-Token", &encoded(exposed(token)));
        }
        let canonical = reading.style.canonical(pairs(&query));
        seed.signature = self.signature(head, reading, &canonical, &names, digest, &seed)?;
        query.push_str("&X-Amz-Signature=");
        query.push_str(&seed.signature);
        head.uri = with_query(&head.uri, &query)?;
        Ok(seed)
    }

    /// Returns which headers are signed: those of the client that arrive as they are.
    fn names(&self, own: &[&str]) -> Vec<String> {
        let kept = self.claim.signed_headers.iter().map(String::as_str).filter(|name| {
            !VOLATILE.contains(name) && *name != TOKEN.as_str() && *name != AUTHORIZATION.as_str()
        });
        let mut names: Vec<String> = kept.chain(own.iter().copied()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    fn signature(
        &self,
        head: &request::Parts,
        reading: &Reading,
        query: &str,
        names: &[String],
        digest: &str,
        seed: &Seed,
    ) -> Result<String> {
        let sent = |name: &str| {
            let value = header_value(head, name)?;
            Some(if name == HOST.as_str() { host_as_sent(&value) } else { value })
        };
        let (lines, names) =
            headers(names, sent).ok_or_else(|| mangled("a header that it signs is not there"))?;
        let lines = Zeroizing::new(lines);
        let path = &reading.path;
        let canonical = Zeroizing::new(format!(
            "{}\n{path}\n{query}\n{}\n{names}\n{digest}",
            head.method, *lines
        ));
        let scope = seed.scope.to_string();
        Ok(seed.key.sign(&string_to_sign(seed.stamp.as_str(), &scope, &canonical)))
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// Returns what a header said that the way here takes off: the framing of the hop.
///
/// The AWS command 2.9 signs it of a body that a checksum follows; newer ones leave it out. There is
/// no other coding for requests (RFC 9112, section 6.1).
fn taken_off(name: &str) -> Option<String> {
    (name == TRANSFER_ENCODING.as_str()).then(|| "chunked".to_owned())
}

/// Writes a host as a proxy sends it on: lower case, without a dot at the end and without the
/// default port.
fn host_as_sent(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

/// Whether the name of a query's parameter is one of these, in whatever case and coding.
pub(super) fn is_named(name: &str, wanted: &[&str]) -> bool {
    let name = decoded(name);
    wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri> {
    let target = Zeroizing::new(format!("{}?{query}", uri.path()));
    let mut parts = uri.clone().into_parts();
    let malformed = || mangled("its URL cannot carry a signature");
    parts.path_and_query = Some(PathAndQuery::try_from(target.as_str()).map_err(|_| malformed())?);
    Uri::from_parts(parts).map_err(|_| malformed())
}

fn signing_key(secret: &Secret, scope: &Scope) -> SigningKey {
    SigningKey::derive(exposed(secret), scope)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key signs, and its id and token go to AWS along with the request"
)]
fn exposed(secret: &Secret) -> &str {
    secret.expose()
}

fn credential(id: &Secret, scope: &Scope) -> String {
    format!("{}/{scope}", exposed(id))
}

fn authorization(id: &Secret, scope: &Scope, names: &str, signature: &str) -> String {
    format!(
        "{ALGORITHM} Credential={}, SignedHeaders={names}, Signature={signature}",
        credential(id, scope)
    )
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| {
        Error::new(ErrorKind::UnexpectedAnswer, "a key of AWS cannot stand in a header")
            .with_hint("grant it again: moat grant aws")
    })
}

fn hidden(text: &str) -> Result<HeaderValue> {
    let mut value = value(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn sensitive(secret: &Secret) -> Result<HeaderValue> {
    hidden(exposed(secret))
}

/// Signs a request that the host itself makes: every header that is there, and the body.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a URL without a host, [`ErrorKind::UnexpectedAnswer`] for keys
/// that cannot stand in a header.
pub(crate) fn sign_own<B: AsRef<[u8]>>(
    request: Request<B>,
    region: &str,
    service: &str,
    keys: &Keys,
    now: OffsetDateTime,
) -> Result<Request<B>> {
    let (mut head, body) = request.into_parts();
    let stamp = Stamp::of(now);
    let scope = Scope {
        day: stamp.day().to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
    };
    head.headers.insert(DATE, value(stamp.as_str())?);
    if let Some(token) = &keys.token {
        head.headers.insert(TOKEN, sensitive(token)?);
    }
    let mut names: Vec<String> =
        head.headers.keys().map(HeaderName::as_str).map(str::to_owned).collect();
    names.push(HOST.as_str().to_owned());
    names.sort();
    names.dedup();
    let (lines, signed) = headers(&names, |name| header_value(&head, name))
        .ok_or_else(|| Error::invalid("the URL of a request to AWS has no host"))?;
    let lines = Zeroizing::new(lines);
    let path = paths(&scope, head.uri.path()).swap_remove(0).anew;
    let query = QueryStyle::Recoded.canonical(pairs(head.uri.query().unwrap_or_default()));
    let digest = super::sha256(body.as_ref());
    let canonical =
        Zeroizing::new(format!("{}\n{path}\n{query}\n{}\n{signed}\n{digest}", head.method, *lines));
    let text = string_to_sign(stamp.as_str(), &scope.to_string(), &canonical);
    let signature = signing_key(&keys.secret, &scope).sign(&text);
    let text = authorization(&keys.id, &scope, &signed, &signature);
    head.headers.insert(AUTHORIZATION, hidden(&text)?);
    Ok(Request::from_parts(head, body))
}
