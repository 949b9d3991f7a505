//! Who has signed a request: a double reads the claim, and botocore says what the signature must be.

use std::process::Stdio;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use moat_host::SystemClock;
use moat_provider_core::Clock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use super::program;
use crate::machine::tool;
use crate::program::Program;

/// How old a signature may be, as AWS has it.
const OLDEST: time::Duration = time::Duration::minutes(5);

/// What a request says about its signature.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key_id: String,
    pub(super) stamp: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) is_presigned: bool,
    pub(super) token: String,
    signed: Vec<String>,
    pub(super) signature: String,
}

impl Claim {
    /// Reads the claim from the header, or from the query of a presigned URL.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        let field = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        let query = head.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.map(decoded)
        };
        let claim = match field(AUTHORIZATION.as_str()) {
            Some(text) => {
                let fields = text.strip_prefix("AWS4-HMAC-SHA256 ")?.to_owned();
                let part = |name: &str| {
                    let mut parts = fields.split(", ");
                    parts
                        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                        .map(str::to_owned)
                };
                let scope = part("Credential")?;
                let (signed, signature) = (part("SignedHeaders")?, part("Signature")?);
                let token = field("x-amz-security-token").unwrap_or_default();
                Self::new(&scope, field("x-amz-date")?, &signed, signature, token, false)?
            }
            None => {
                let scope = parameter("X-Amz-Credential")?;
                let signed = parameter("X-Amz-SignedHeaders")?;
                let token = parameter("X-Amz-Security-Token").unwrap_or_default();
                let signature = parameter("X-Amz-Signature")?;
                Self::new(&scope, parameter("X-Amz-Date")?, &signed, signature, token, true)?
            }
        };
        Some(claim)
    }

    fn new(
        scope: &str,
        stamp: String,
        signed: &str,
        signature: String,
        token: String,
        is_presigned: bool,
    ) -> Option<Self> {
        let [key_id, day, region, service, "aws4_request"] = *scope.split('/').collect::<Vec<_>>()
        else {
            return None;
        };
        let [key_id, region, service] = [key_id, region, service].map(str::to_owned);
        let signed = signed.split(';').map(str::to_owned).collect();
        let is_of_day = stamp.starts_with(day);
        let claim = Self { key_id, stamp, region, service, is_presigned, token, signed, signature };
        is_of_day.then_some(claim)
    }

    /// Whether AWS would take it now, and for what it signs: every header of its own, and the host.
    pub(super) fn is_sound(&self, head: &Parts) -> bool {
        let Ok(at) = OffsetDateTime::parse(&self.stamp, &Iso8601::DEFAULT) else { return false };
        let age = SystemClock.now() - at;
        let is_signed = |name: &str| self.signed.iter().any(|signed| signed == name);
        let own = head.headers.keys().map(http::HeaderName::as_str);
        let mut own = own.filter(|name| name.starts_with("x-amz-"));
        let is_whole = is_signed(HOST.as_str()) && own.all(is_signed);
        age.abs() < OLDEST && is_whole
    }

    fn question(&self, head: &Parts, secret: &str, digest: &str, chunks: &[String]) -> Value {
        let host = head.headers.get(HOST).map(|host| host.to_str().unwrap().to_owned());
        let host = host.unwrap_or_else(|| head.uri.authority().unwrap().to_string());
        let query = head.uri.query().unwrap_or_default().split('&');
        let query: Vec<_> = query.filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
        let mut headers = Vec::new();
        for name in self.signed.iter().filter(|name| *name != "host") {
            for value in head.headers.get_all(name) {
                headers.push(json!([name, value.to_str().unwrap()]));
            }
        }
        json!({
            "method": head.method.as_str(),
            "url": format!("https://{host}{}?{}", head.uri.path(), query.join("&")),
            "headers": headers, "digest": digest, "chunks": chunks,
            "stamp": self.stamp, "region": self.region, "service": self.service,
            "secret": secret,
        })
    }
}

/// Decodes percent encoding, which is never mistaken by those who sign.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit =
            || rest.next().and_then(|digit| (digit as char).to_digit(16)).unwrap() as u8;
        bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

/// The program that computes signatures.
pub(super) struct Botocore {
    pipes: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _child: Child,
}

impl Botocore {
    pub(super) fn start() -> Self {
        let python = Program::new(&tool("python/bin/python")).arg(program("signatures.py"));
        let mut child = python.spawn(Stdio::piped());
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { pipes: Mutex::new((child.stdin.take().unwrap(), stdout)), _child: child }
    }

    /// Returns the signature of a head, and those of the strings that are signed with the same key.
    pub(super) async fn signatures(
        &self,
        claim: &Claim,
        head: &Parts,
        secret: &str,
        digest: &str,
        chunks: &[String],
    ) -> Vec<String> {
        let question = claim.question(head, secret, digest, chunks);
        let mut pipes = self.pipes.lock().await;
        let (stdin, stdout) = &mut *pipes;
        stdin.write_all(format!("{question}\n").as_bytes()).await.unwrap();
        let line = stdout.next_line().await.unwrap().expect("botocore has an answer");
        serde_json::from_str(&line).unwrap()
    }
}
