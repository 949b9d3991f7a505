//! Signature Version 4 once more, written for the tests alone: for requests whose path and query
//! need no encoding.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::{Request, request};
use sha2::{Digest, Sha256};

pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hmac_hex(key: &[u8], text: &str) -> String {
    hmac(key, text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signature's scope, time and key.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) time: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Signing {
    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", &self.time[..8], self.region, self.service)
    }

    fn key(&self) -> Vec<u8> {
        let start = format!("AWS4{}", self.secret).into_bytes();
        let scope = self.scope();
        scope.split('/').fold(start, |key, part| hmac(&key, part))
    }

    fn signature(&self, head: &request::Parts, names: &[&str], digest: &str) -> String {
        let mut query: Vec<&str> = head
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("X-Amz-Signature="))
            .collect();
        query.sort_unstable();
        let lines: String = names
            .iter()
            .map(|name| format!("{name}:{}\n", head.headers[*name].to_str().unwrap().trim()))
            .collect();
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{}\n{digest}",
            head.method,
            head.uri.path(),
            query.join("&"),
            names.join(";"),
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.time,
            self.scope(),
            hash(canonical.as_bytes())
        );
        hmac_hex(&self.key(), &text)
    }

    /// Signs every header, and returns the signature.
    pub(crate) fn sign(&self, head: &mut request::Parts, digest: &str) -> String {
        let host = head.uri.authority().unwrap().to_string();
        head.headers.insert(HOST, host.parse().unwrap());
        head.headers.insert("x-amz-date", self.time.parse().unwrap());
        let head_names = head.headers.keys().map(HeaderName::as_str);
        let mut names: Vec<String> = head_names.map(ToOwned::to_owned).collect();
        names.sort();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let signature = self.signature(head, &names, digest);
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={}, Signature={signature}",
            self.id,
            self.scope(),
            names.join(";"),
        );
        head.headers.insert(AUTHORIZATION, value.parse().unwrap());
        signature
    }

    /// Presigns a URL without a query.
    pub(crate) fn presign(&self, head: &mut request::Parts, digest: &str) {
        let host = head.uri.authority().unwrap().to_string();
        head.headers.insert(HOST, host.parse().unwrap());
        let credential = format!("{}/{}", self.id, self.scope()).replace('/', "%2F");
        let url = format!(
            "{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}\
             &X-Amz-Expires=600&X-Amz-SignedHeaders=host",
            head.uri, self.time
        );
        head.uri = url.parse().unwrap();
        let signature = self.signature(head, &["host"], digest);
        head.uri = format!("{url}&X-Amz-Signature={signature}").parse().unwrap();
    }

    /// Verifies a request, and returns its signature.
    pub(crate) fn verify(&self, head: &request::Parts, digest: &str) -> Result<String, String> {
        let field = |name: &str| -> Option<String> {
            if let Some(value) = head.headers.get(AUTHORIZATION) {
                let fields = value.to_str().unwrap().strip_prefix("AWS4-HMAC-SHA256 ")?;
                let mut fields = fields.split(',').map(str::trim);
                return fields.find_map(|f| f.strip_prefix(&format!("{name}=")).map(str::to_owned));
            }
            let mut pairs = head.uri.query()?.split('&');
            let value = pairs.find_map(|p| p.strip_prefix(&format!("X-Amz-{name}=")))?;
            Some(value.replace("%2F", "/").replace("%3B", ";"))
        };
        let credential = field("Credential").ok_or("no credential")?;
        if credential != format!("{}/{}", self.id, self.scope()) {
            return Err(format!("the credential is {credential}"));
        }
        let names = field("SignedHeaders").ok_or("no headers")?;
        let names: Vec<&str> = names.split(';').collect();
        let signature = self.signature(head, &names, digest);
        match field("Signature") {
            Some(own) if own == signature => Ok(signature),
            _ => Err("another signature".to_owned()),
        }
    }

    pub(crate) fn chunk(&self, previous: &str, data: &[u8]) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
            self.time,
            self.scope(),
            hash(b""),
            hash(data)
        );
        hmac_hex(&self.key(), &text)
    }

    pub(crate) fn trailer(&self, previous: &str, lines: &str) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{previous}\n{}",
            self.time,
            self.scope(),
            hash(lines.as_bytes())
        );
        hmac_hex(&self.key(), &text)
    }
}

/// Verifies a request with a body, for the service and region of its host and the time it names.
pub(crate) fn verified(request: &Request<Bytes>, id: &str, secret: &str) -> Result<(), String> {
    let (head, body) = request.clone().into_parts();
    let host = head.uri.host().unwrap().to_owned();
    let labels: Vec<&str> = host.split('.').collect();
    let time = head.headers.get("x-amz-date").ok_or("no date")?.to_str().unwrap().to_owned();
    let mut head = head;
    head.headers.insert(HOST, host.parse().unwrap());
    let signing = Signing {
        id: id.to_owned(),
        secret: secret.to_owned(),
        time,
        region: labels[1].to_owned(),
        service: labels[0].to_owned(),
    };
    signing.verify(&head, &hash(&body)).map(drop)
}
