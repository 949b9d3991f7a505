//! Amazon Web Services on loopback: S3, STS, DynamoDB and Bedrock, as far as the clients ask.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use moat_provider_core::{Alphabet, BoxFuture};
use moat_provider_testkit::Canary;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::payload::{Received, crc32};
use super::s3::{Objects, element, xml};
use super::verify::{Botocore, Claim};
use crate::vendor::{Arrival, Double, Reply, json, text};

pub(super) const STS: &str = "sts.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const BEDROCK: &str = "bedrock-runtime.eu-central-1.amazonaws.com";
const BUCKET: &str = "reports.s3.eu-central-1.amazonaws.com";
/// The same bucket, as presigned URLs have it.
const GLOBAL_BUCKET: &str = "reports.s3.amazonaws.com";

/// The host whose paths begin with a bucket.
pub(super) const PATHS: &str = "s3.eu-central-1.amazonaws.com";

/// What leads here; the last ones are what a grant may leave out.
const HOSTS: [&str; 11] = [
    STS,
    DYNAMODB,
    BEDROCK,
    BUCKET,
    GLOBAL_BUCKET,
    PATHS,
    "ec2.eu-central-1.amazonaws.com",
    "oidc.eu-central-1.amazonaws.com",
    "other.s3.eu-central-1.amazonaws.com",
    "dynamodb.us-east-1.amazonaws.com",
    "sqs.eu-central-1.amazonaws.com",
];

pub(super) const PERSON: &str = "AKIAPERSONPERSONPERS";
pub(super) const SESSION: &str = "ASIASESSIONSESSIONSE";
/// What the role's sessions have after [`Amazon::renew`].
const RENEWED: &str = "ASIARENEWEDRENEWEDRE";

/// One request whose signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// `person` or `session`.
    pub(super) who: &'static str,
    key_id: String,
    pub(super) service: String,
    pub(super) operation: String,
    /// What was signed for the body, if that is no digest.
    pub(super) payload: String,
    pub(super) is_presigned: bool,
}

/// The test's side of a request that is held back.
pub(super) struct Held {
    /// Length and hash of the body, as soon as it is there.
    pub(super) arrived: oneshot::Receiver<(u64, String)>,
    /// Lets the answer go.
    pub(super) go: oneshot::Sender<()>,
}

type Gate = (oneshot::Sender<(u64, String)>, oneshot::Receiver<()>);

/// The keys of one session of the role.
struct Session {
    id: &'static str,
    secret: Canary,
    token: Canary,
}

/// The vendor, with the keys of a person and those of the role's sessions.
pub(super) struct Amazon {
    pub(super) secret: Canary,
    sessions: [Session; 2],
    /// Which of them a role gets.
    session: AtomicUsize,
    botocore: Botocore,
    objects: Objects,
    items: Mutex<BTreeMap<String, Value>>,
    calls: Mutex<Vec<Call>>,
    refused: Mutex<Vec<String>>,
    gate: Mutex<Option<Gate>>,
}

impl Amazon {
    pub(super) fn new() -> Self {
        let plain = |length| Canary::shaped("", Alphabet::Alphanumeric, length);
        let session = |id| Session { id, secret: plain(40), token: plain(400) };
        Self {
            secret: plain(40),
            sessions: [session(SESSION), session(RENEWED)],
            session: AtomicUsize::new(0),
            botocore: Botocore::start(),
            objects: Objects::default(),
            items: Mutex::default(),
            calls: Mutex::default(),
            refused: Mutex::default(),
            gate: Mutex::default(),
        }
    }

    /// Returns the person's variables.
    pub(super) fn environment(&self) -> [(&'static str, &str); 2] {
        [("AWS_ACCESS_KEY_ID", PERSON), ("AWS_SECRET_ACCESS_KEY", self.secret.text())]
    }

    /// Gives other keys to the sessions that begin from now on.
    pub(super) fn renew(&self) {
        self.session.store(1, Ordering::SeqCst);
    }

    /// Returns what was signed by the role's sessions, and forgets it.
    pub(super) fn take_calls(&self) -> Vec<Call> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().filter(|call| call.who == "session").collect()
    }

    /// Returns why requests were refused, and forgets it.
    pub(super) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut *self.refused.lock().unwrap())
    }

    /// Holds back the answer to the next object that is put.
    pub(super) fn hold(&self) -> Held {
        let (tell, arrived) = oneshot::channel();
        let (go, wait) = oneshot::channel();
        *self.gate.lock().unwrap() = Some((tell, wait));
        Held { arrived, go }
    }

    /// Says whose keys have signed a request, or why AWS would not take it.
    async fn judge(&self, head: &Parts, received: &Received) -> Result<Call, &'static str> {
        let claim = Claim::of(head).ok_or("MissingAuthenticationToken")?;
        let session = self.sessions.iter().find(|session| session.id == claim.key_id);
        let (who, secret, token) = match session {
            Some(session) => ("session", &session.secret, session.token.text()),
            None if claim.key_id == PERSON => ("person", &self.secret, ""),
            None => return Err("InvalidClientTokenId"),
        };
        if claim.token != token || !claim.is_sound(head) {
            return Err("IncompleteSignature");
        }
        let stated = head.headers.get("x-amz-content-sha256");
        let stated = stated.map(|stated| stated.to_str().unwrap().to_owned());
        let payload = match stated {
            Some(stated) => stated,
            None if claim.service == "s3" && claim.is_presigned => "UNSIGNED-PAYLOAD".to_owned(),
            None => received.hash.clone(),
        };
        let is_digest = payload.len() == 64;
        if is_digest && payload != received.hash {
            return Err("XAmzContentSHA256Mismatch");
        }
        let (strings, mut sent) = received.chain(&claim);
        if payload.starts_with("STREAMING-AWS4-HMAC-SHA256") == sent.is_empty() {
            return Err("IncompleteBody");
        }
        sent.insert(0, claim.signature.clone());
        let signatures =
            self.botocore.signatures(&claim, head, secret.text(), &payload, &strings).await;
        if signatures != sent {
            return Err("SignatureDoesNotMatch");
        }
        Ok(Call {
            who,
            key_id: claim.key_id,
            service: claim.service,
            operation: operation(head, received),
            payload: if is_digest { String::new() } else { payload },
            is_presigned: claim.is_presigned,
        })
    }

    async fn respond(&self, head: &Parts, received: Received) -> Reply {
        let host = head.uri.host().map(str::to_owned);
        let host = host.unwrap_or_else(|| head.headers["host"].to_str().unwrap().to_owned());
        let is_xml = host != DYNAMODB && host != BEDROCK;
        let call = match self.judge(head, &received).await {
            Ok(call) => call,
            Err(code) => {
                self.refused.lock().unwrap().push(format!("{code} {} {}", head.method, head.uri));
                let why = element("Code", code) + &element("Message", "refused by the double");
                return match is_xml {
                    true if host == STS => {
                        xml(403, &element("ErrorResponse", &element("Error", &why)))
                    }
                    true => xml(403, &element("Error", &why)),
                    false => {
                        json(403, &json!({"__type": code, "message": "refused by the double"}))
                    }
                };
            }
        };
        self.calls.lock().unwrap().push(call.clone());
        match &*host {
            STS => self.sts(&call),
            DYNAMODB => self.dynamodb(&call.operation, &received.content),
            BEDROCK => events(&received.content),
            BUCKET | GLOBAL_BUCKET | PATHS => {
                let path = head.uri.path();
                let path =
                    if host == PATHS { path.strip_prefix("/reports").unwrap() } else { path };
                let gate = (call.operation == "PUT").then(|| self.gate.lock().unwrap().take());
                if let Some(Some((tell, wait))) = gate {
                    _ = tell.send((received.length, received.hash.clone()));
                    _ = wait.await;
                }
                self.objects.answer(head, path, received)
            }
            _ => xml(200, &element("Error", &element("Code", "NobodyAsksHere"))),
        }
    }

    fn sts(&self, call: &Call) -> Reply {
        let (action, who) = (&*call.operation, call.who);
        let arn = match who {
            "person" => "arn:aws:iam::123456789012:user/person",
            _ => "arn:aws:sts::123456789012:assumed-role/agent/moat-run",
        };
        let result = match action {
            "GetCallerIdentity" => {
                let id = if call.key_id == RENEWED { "AROA:renewed" } else { "AROA:first" };
                element("Arn", arn) + &element("UserId", id) + &element("Account", "123456789012")
            }
            "AssumeRole" if who == "person" => {
                let session = &self.sessions[self.session.load(Ordering::SeqCst)];
                let keys = element("AccessKeyId", session.id)
                    + &element("SecretAccessKey", session.secret.text())
                    + &element("SessionToken", session.token.text())
                    + &element("Expiration", "2099-01-01T00:00:00Z");
                let arn = "arn:aws:sts::123456789012:assumed-role/agent/moat-run";
                element("Credentials", &keys) + &element("AssumedRoleUser", &element("Arn", arn))
            }
            _ => return xml(400, &element("Error", &element("Code", "InvalidAction"))),
        };
        let result = element(&format!("{action}Result"), &result);
        xml(200, &element(&format!("{action}Response"), &result))
    }

    fn dynamodb(&self, operation: &str, sent: &[u8]) -> Reply {
        let sent: Value = serde_json::from_slice(sent).unwrap();
        let mut items = self.items.lock().unwrap();
        let answer = match operation {
            "PutItem" => {
                items.insert(sent["Item"]["id"].to_string(), sent["Item"].clone());
                json!({})
            }
            "GetItem" => json!({"Item": items[&sent["Key"]["id"].to_string()]}),
            _ => return json(400, &json!({"__type": "ValidationException"})),
        };
        let mut reply = json(200, &answer);
        let kind = HeaderValue::from_static("application/x-amz-json-1.0");
        reply.headers_mut().insert(CONTENT_TYPE, kind);
        // Clients check that the answer has passed as it was.
        let checksum = HeaderValue::from(crc32(answer.to_string().as_bytes()));
        reply.headers_mut().insert("x-amz-crc32", checksum);
        reply
    }
}

impl Double for Amazon {
    fn hosts(&self) -> &[&str] {
        &HOSTS
    }

    fn canaries(&self) -> Vec<&Canary> {
        let sessions = self.sessions.iter().flat_map(|it| [&it.secret, &it.token]);
        sessions.chain([&self.secret]).collect()
    }

    /// Only by the name of the key; [`Amazon::take_calls`] has those whose signature was right.
    fn account(&self, head: &Parts) -> Option<&'static str> {
        match &*Claim::of(head)?.key_id {
            PERSON => Some("person"),
            SESSION | RENEWED => Some("session"),
            _ => None,
        }
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let (head, body) = arrival.into_request().into_parts();
            match Received::read(&head.headers, body).await {
                Some(received) => self.respond(&head, received).await,
                None => text(400, "the body broke off"),
            }
        })
    }
}

/// Names what is asked for: an action, a target, or a method.
fn operation(head: &Parts, received: &Received) -> String {
    if let Some(target) = head.headers.get("x-amz-target") {
        return target.to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    }
    let form = String::from_utf8_lossy(&received.content).into_owned();
    let action = form.split('&').find_map(|field| field.strip_prefix("Action="));
    action.unwrap_or(head.method.as_str()).to_owned()
}

/// Answers with what was sent, word by word, as events (Bedrock API reference,
/// "InvokeModelWithResponseStream"; Smithy, "Amazon Event Stream Specification").
fn events(sent: &[u8]) -> Reply {
    let sent: Value = serde_json::from_slice(sent).unwrap();
    let mut stream = Vec::new();
    for word in sent["prompt"].as_str().unwrap().split(' ') {
        let chunk = STANDARD.encode(json!({ "completion": word }).to_string());
        stream.extend(event(&json!({ "bytes": chunk }).to_string()));
    }
    let mut reply = text(200, stream);
    let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

fn event(payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        headers.push(name.len() as u8);
        headers.extend(name.bytes());
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.bytes());
    }
    let length = 12 + headers.len() + payload.len() + 4;
    let mut frame = Vec::new();
    frame.extend((length as u32).to_be_bytes());
    frame.extend((headers.len() as u32).to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload.bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}
