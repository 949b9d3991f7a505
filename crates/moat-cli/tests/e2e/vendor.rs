//! GitHub on loopback: it accepts the token alone, and answers 401 to anything else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, RANGE};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use moat_host::SystemClock;
use moat_provider_core::Clock;
use moat_provider_testkit::Canary;
use moat_proxy::plane::CertificateAuthority;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::anthropic::{self, Accounts};
use crate::forge;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// The hosts that the vendor has, and that the grant is for.
pub(crate) const API: &str = "api.github.com";
pub(crate) const FORGE: &str = "github.com";
/// A host that has nothing to do with the grant; it refuses nobody, and tells what it was sent.
pub(crate) const OTHER: &str = "elsewhere.test";

/// Every host that leads here.
const HOSTS: [&str; 6] =
    [API, FORGE, OTHER, anthropic::API, "uploads.github.com", "raw.githubusercontent.com"];

/// How long `/blob` is.
pub(crate) const BLOB: usize = 1024 * 1024 + 17;

/// One request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) authorization: String,
    pub(crate) had_token: bool,
    /// Which of the accounts of Anthropic's it belongs to.
    pub(crate) account: Option<&'static str>,
    /// What was sent to Anthropic.
    pub(crate) body: String,
}

/// The vendor.
#[derive(Clone)]
pub(crate) struct Vendor(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    authority: String,
    accepted: Vec<String>,
    seen: Mutex<Vec<Seen>>,
    /// Lets the events go on that were asked for last.
    next: Mutex<Arc<Notify>>,
    repositories: PathBuf,
    accounts: Accounts,
    is_revoked: AtomicBool,
}

impl Vendor {
    /// Serves the hosts, for as long as the test's runtime lives.
    pub(crate) async fn start(token: &Canary, repositories: PathBuf) -> Self {
        let now = SystemClock.now();
        let day = Duration::from_secs(24 * 3600);
        let authority = CertificateAuthority::generate(now, day).unwrap();
        let acceptor = TlsAcceptor::from(configuration(&authority));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let basic = STANDARD.encode(format!("x-access-token:{}", token.text()));
        let accepted = ["Bearer", "token"].map(|scheme| format!("{scheme} {}", token.text()));
        let vendor = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            authority: authority.certificate_pem(),
            accepted: accepted.into_iter().chain([format!("Basic {basic}")]).collect(),
            seen: Mutex::default(),
            next: Mutex::default(),
            repositories,
            accounts: Accounts::new(),
            is_revoked: AtomicBool::new(false),
        }));
        let serving = vendor.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, vendor) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request| {
                        let vendor = vendor.clone();
                        async move { Ok::<_, Infallible>(vendor.answer(request).await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    _ = builder.serve_connection_with_upgrades(TokioIo::new(tls), service).await;
                });
            }
        });
        vendor
    }

    /// Returns the certificate of the authority behind the hosts.
    pub(crate) fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Returns the rules that lead to the vendor.
    pub(crate) fn connect_to(&self) -> String {
        let port = self.0.address.port();
        HOSTS.map(|host| format!("{host}:443:127.0.0.1:{port}")).join(" ")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Returns what has arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let field = |name| {
            let value = request.headers().get(name).map(|value: &HeaderValue| value.as_bytes());
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let authorization = field(AUTHORIZATION);
        let host = request.uri().host().map_or_else(|| field(HOST), str::to_owned);
        let had_token = self.0.accepted.contains(&authorization);
        let path = request.uri().path().to_owned();
        self.0.seen.lock().unwrap().push(Seen {
            host: host.clone(),
            authorization: authorization.clone(),
            had_token,
            account: None,
            body: String::new(),
        });
        if host == anthropic::API {
            return self.anthropic(&path, request).await;
        }
        if host == OTHER {
            return text(200, format!("authorization: {authorization:?}\n"));
        }
        if host == FORGE && path != "/me" {
            return forge::answer(&self.0.repositories, request, had_token).await;
        }
        if !had_token {
            return json(401, &json!({"message": "Bad credentials"}));
        }
        self.api(&path, request).await
    }

    /// Answers whoever has one of Anthropic's accounts.
    async fn anthropic(&self, path: &str, request: Request<Incoming>) -> Reply {
        let account = self.0.accounts.who(request.headers());
        let account = account.filter(|_| !self.0.is_revoked.load(Ordering::SeqCst));
        let sent = request.into_body().collect().await.unwrap().to_bytes();
        {
            let mut seen = self.0.seen.lock().unwrap();
            let seen = seen.iter_mut().rev().find(|seen| seen.host == anthropic::API).unwrap();
            seen.account = account;
            seen.body = String::from_utf8_lossy(&sent).into_owned();
        }
        match account {
            Some(_) => anthropic::answer(path, &sent),
            None => anthropic::refused(),
        }
    }

    /// Returns the accounts that the vendor knows.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Refuses all of them from now on.
    pub(crate) fn revoke_all(&self) {
        self.0.is_revoked.store(true, Ordering::SeqCst);
    }

    /// Returns how many requests of an account have arrived.
    pub(crate) fn asked(&self, account: &str) -> usize {
        self.seen().iter().filter(|seen| seen.account == Some(account)).count()
    }

    /// Returns what was sent to a host.
    pub(crate) fn bodies(&self, host: &str) -> Vec<String> {
        let bodies = self.seen().into_iter().filter(|seen| seen.host == host);
        bodies.map(|seen| seen.body).collect()
    }

    async fn api(&self, path: &str, request: Request<Incoming>) -> Reply {
        match path {
            "/" => {
                let mut root =
                    json(200, &json!({"current_user_url": "https://api.github.com/user"}));
                root.headers_mut()
                    .insert("x-oauth-scopes", HeaderValue::from_static("repo, read:org, gist"));
                root
            }
            "/user" => json(200, &json!({"login": "octocat", "id": 1})),
            "/graphql" => graphql(&body(request).await),
            "/blob" => blob_part(&request),
            "/echo" => {
                let sent = request.headers()[AUTHORIZATION].to_str().unwrap();
                text(200, format!("you sent {sent}\n"))
            }
            "/elsewhere" => {
                let mut moved = text(302, "");
                let to = HeaderValue::from_static("https://elsewhere.test/after");
                moved.headers_mut().insert(LOCATION, to);
                moved
            }
            "/events" => self.events(),
            "/next" => {
                self.0.next.lock().unwrap().notify_one();
                text(200, "next")
            }
            "/upload" => {
                let method = request.method().clone();
                let sent = body(request).await;
                text(200, format!("{method} {} {}", sent.len(), hash(&sent)))
            }
            _ => text(200, "{\"you\": \"sent\"}"),
        }
    }

    /// Answers with three events, each after the one before was asked to be followed.
    fn events(&self) -> Reply {
        let next = Arc::new(Notify::new());
        *self.0.next.lock().unwrap() = Arc::clone(&next);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for number in 1..=3 {
                if number > 1 {
                    next.notified().await;
                }
                let event = format!("data: {number}\n\n");
                if sender.send(Ok(Frame::data(Bytes::from(event)))).await.is_err() {
                    return;
                }
            }
        });
        let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }
}

fn configuration(authority: &CertificateAuthority) -> Arc<ServerConfig> {
    let key = KeyPair::from_pem(&authority.key_pem()).unwrap();
    let issuer = Issuer::from_ca_cert_der(authority.certificate(), key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(HOSTS.map(str::to_owned)).unwrap();
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Answers what gh asks, by the names of its queries.
fn graphql(query: &[u8]) -> Reply {
    let query = String::from_utf8_lossy(query);
    let data = if query.contains("UserCurrent") {
        json!({"viewer": {"login": "octocat"}})
    } else if query.contains("PullRequestList") {
        json!({"repository": {"pullRequests": {
            "totalCount": 1,
            "pageInfo": {"hasNextPage": false, "endCursor": ""},
            "nodes": [{
                "number": 7, "title": "Seven", "state": "OPEN", "isDraft": false,
                "url": "https://github.com/o/r/pull/7", "headRefName": "seven",
                "headRepositoryOwner": {"id": "1", "login": "o"}, "isCrossRepository": false,
                "createdAt": "2026-01-01T00:00:00Z",
            }],
        }}})
    } else {
        json!({})
    };
    json(200, &json!({ "data": data }))
}

/// Answers with the blob, or one range of it (RFC 9110, section 14).
fn blob_part(request: &Request<Incoming>) -> Reply {
    let range = request.headers().get(RANGE).and_then(|value| {
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((
            first.parse::<usize>().ok()?,
            last.parse::<usize>().unwrap_or(BLOB - 1).min(BLOB - 1),
        ))
    });
    let Some((first, last)) = range else { return text(200, blob()) };
    let mut part = text(206, blob().slice(first..=last));
    let field = format!("bytes {first}-{last}/{BLOB}");
    part.headers_mut().insert("content-range", field.parse().unwrap());
    part
}

/// Returns the bytes of `/blob`: no two kilobytes are alike.
pub(crate) fn blob() -> Bytes {
    (0..BLOB).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// Returns the SHA-256 hash in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn body(request: Request<Incoming>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes()
}

pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply
}

fn json(status: u16, value: &Value) -> Reply {
    let mut reply = text(status, value.to_string());
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}
