//! All parts together: a run's rules between real clients and a vendor on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{Method, Response, StatusCode};
use moat_provider_core::{
    Alphabet, Credential, CredentialKey, CredentialRule, HeaderTemplate, IssuingEndpoint,
    IssuingEndpoints, PlaceholderKey, PlaceholderShape, ProxyConfigurer, ProxyRules, RunContext,
    Secret, SecretRef, Target,
};
use moat_provider_testkit::Canary;
use moat_proxy::engine::Generation;
use moat_proxy::{BLOCKED, Mode, Policy, RunRules};
use tokio::process::Command;

use crate::support::client::{Http, empty, whole};
use crate::support::origin::{Origin, text};
use crate::support::{RealClock, Rules, TOKEN, World, soon};

const VENDOR: &str = "api.vendor.test";

fn key() -> CredentialKey {
    "vendor".parse().unwrap()
}

fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("ven_", Alphabet::Alphanumeric, 40)
}

/// A vendor's token, without characters that JSON or headers would have to escape.
fn token() -> Canary {
    Canary::of_shape(&shape())
}

struct Setup {
    run: Arc<RunContext>,
    key: PlaceholderKey,
}

impl Setup {
    fn new() -> Self {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        let key = PlaceholderKey::from_bytes(bytes);
        Self { run: Self::run("first", &key), key }
    }

    fn run(id: &str, key: &PlaceholderKey) -> Arc<RunContext> {
        let home = "/home/agent".parse().unwrap();
        Arc::new(RunContext::builder(id.parse().unwrap(), home, key.clone()).build())
    }

    fn placeholder(run: &RunContext) -> String {
        run.placeholder(&key(), "token", &shape()).unwrap().to_string()
    }

    fn rules(&self, token: &Secret, mode: Mode) -> Arc<RunRules> {
        let credential =
            Credential::builder(key(), token.clone(), time::OffsetDateTime::UNIX_EPOCH);
        let placeholder = self.run.placeholder(&key(), "token", &shape()).unwrap();
        let target = Target::host(VENDOR).unwrap();
        let mut rules = ProxyRules::default();
        rules.credential(
            CredentialRule::new(
                target.clone(),
                AUTHORIZATION,
                HeaderTemplate::Bearer,
                SecretRef::token(&key()),
            )
            .placeholder(placeholder),
        );
        let keys = target.under("/keys").unwrap().methods([Method::POST]).unwrap();
        let issuing: IssuingEndpoints = [IssuingEndpoint::new(keys, "a key")].into_iter().collect();
        let secrets = BTreeMap::from([(key(), credential.build().secrets().clone())]);
        let issuing = [(key(), issuing)];
        let generation =
            Generation::new(&rules, &issuing, &secrets, self.key.clone(), mode).unwrap();
        // The names of the test have addresses of TEST-NET-3.
        let policy = Policy::builder(mode).allow("203.0.113.0/24").unwrap().build();
        let run = Arc::clone(&self.run);
        let rules = RunRules::builder(run, Arc::new(RealClock), policy, generation);
        Arc::new(rules.build().unwrap())
    }
}

/// Takes the token alone, and repeats in head and body what it was sent.
async fn vendor(world: &World, host: &str, tokens: &[&Canary]) -> Origin {
    let accepted: Vec<String> = tokens.iter().map(|it| format!("Bearer {}", it.text())).collect();
    Origin::tls(&world.origins, &world.net, host, &["h2", "http/1.1"], move |request| {
        let sent = request.headers().get(AUTHORIZATION).cloned();
        let sent = sent.map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        let known = accepted.contains(&sent);
        async move {
            let mut answer = text(format!("{{\"you\": \"sent\", \"authorization\": \"{sent}\"}}"));
            if !sent.is_empty() {
                answer.headers_mut().insert("x-echo", sent.parse().unwrap());
            }
            if !known {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
            }
            answer
        }
    })
    .await
}

fn holds(answer: &Response<Bytes>, token: &Canary) -> bool {
    token.find_in_str(&format!("{:?}", answer.headers())).is_some()
        || token.find_in(answer.body()).is_some()
}

async fn send(
    world: &World,
    host: &str,
    version: Http,
    method: &str,
    path: &str,
    authorization: Option<&str>,
) -> Response<Bytes> {
    let mut client = world.client(host, version).await;
    let mut request = client.request(method, path);
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let answer = soon(client.send(request.body(empty()).unwrap())).await;
    whole(answer.unwrap()).await
}

#[tokio::test]
async fn a_placeholder_becomes_the_token_and_the_token_never_comes_back() {
    let (setup, token) = (Setup::new(), token());
    let inside = Setup::placeholder(&setup.run);
    for version in Http::BOTH {
        let world = World::new(Rules::default()).await;
        world.run.swap(setup.rules(&token.secret(), Mode::Strict));
        let origin = vendor(&world, VENDOR, &[&token]).await;
        for sent in [format!("Bearer {inside}"), format!("token {inside}")] {
            let answer = send(&world, VENDOR, version, "GET", "/me", Some(&sent)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
            assert!(!holds(&answer, &token), "{:?} {:?}", answer.headers(), answer.body());
        }
        let answer = send(&world, VENDOR, version, "GET", "/me", None).await;
        assert_eq!(answer.status(), StatusCode::OK, "an empty slot is filled");
        assert!(!holds(&answer, &token));
        assert_eq!(origin.requests(), 3);
    }
}

#[tokio::test]
async fn what_is_not_this_runs_is_refused_before_the_vendor_sees_it() {
    let (setup, token) = (Setup::new(), token());
    let world = World::new(Rules::default()).await;
    world.run.swap(setup.rules(&token.secret(), Mode::Strict));
    let origin = vendor(&world, VENDOR, &[&token]).await;
    let stale = format!("Bearer {}", Setup::placeholder(&Setup::run("second", &setup.key)));
    let inside = format!("Bearer {}", Setup::placeholder(&setup.run));
    let cases = [
        ("GET", "/me", stale.as_str(), StatusCode::UNAUTHORIZED, "stale-placeholder"),
        ("GET", "/me", "Bearer mine", StatusCode::FORBIDDEN, "client-credential"),
        ("POST", "/keys", &inside, StatusCode::FORBIDDEN, "issuing-endpoint"),
        ("POST", "/keys/", &inside, StatusCode::FORBIDDEN, "issuing-endpoint"),
        ("POST", "/x/../keys", &inside, StatusCode::BAD_REQUEST, "path-ambiguous"),
    ];
    for (method, path, sent, status, reason) in cases {
        for version in Http::BOTH {
            let answer = send(&world, VENDOR, version, method, path, Some(sent)).await;
            assert_eq!(answer.status(), status, "{method} {path} {:?}", answer.body());
            let header = answer.headers().get(&BLOCKED).map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(header.as_deref(), Some(reason), "{method} {path}");
        }
    }
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_refusal_of_a_request_for_a_head_has_no_body() {
    let (setup, token) = (Setup::new(), token());
    let world = World::new(Rules::default()).await;
    world.run.swap(setup.rules(&token.secret(), Mode::Strict));
    for version in Http::BOTH {
        let ask =
            async |method| send(&world, VENDOR, version, method, "/me", Some("Bearer mine")).await;
        let (get, head) = (ask("GET").await, ask("HEAD").await);
        assert_eq!((get.status(), head.status()), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
        assert!(!get.body().is_empty() && head.body().is_empty(), "{head:?}");
        assert_eq!(head.headers()[CONTENT_LENGTH], get.body().len().to_string());
    }
}

#[tokio::test]
async fn a_permissive_run_leaves_other_credentials_and_hosts_alone() {
    let (setup, token) = (Setup::new(), token());
    let world = World::new(Rules::default()).await;
    world.run.swap(setup.rules(&token.secret(), Mode::Permissive));
    vendor(&world, VENDOR, &[&token]).await;
    let answer = send(&world, VENDOR, Http::One, "GET", "/", Some("Bearer mine")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["x-echo"], "Bearer mine");

    // Another host is not even intercepted: the tunnel's certificate is the host's own.
    vendor(&world, "other.test", &[&token]).await;
    let (socket, head) = world.tunnel("other.test:443").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    drop(socket);

    world.run.swap(setup.rules(&token.secret(), Mode::Strict));
    let (_, head) = world.tunnel("other.test:443").await;
    assert!(head.contains("403") && head.contains("host-not-allowed"), "{head}");
}

#[tokio::test]
async fn a_new_generation_reaches_open_tunnels() {
    let (setup, old, new) = (Setup::new(), token(), token());
    let inside = format!("Bearer {}", Setup::placeholder(&setup.run));
    for version in Http::BOTH {
        let world = World::new(Rules::default()).await;
        world.run.swap(setup.rules(&old.secret(), Mode::Strict));
        vendor(&world, VENDOR, &[&new]).await;
        let mut client = world.client(VENDOR, version).await;
        let mut ask = async || {
            let request = client.request("GET", "/").header(AUTHORIZATION, &inside);
            soon(client.send(request.body(empty()).unwrap())).await.unwrap().status()
        };
        assert_eq!(ask().await, StatusCode::UNAUTHORIZED, "the vendor knows the new token alone");
        world.run.swap(setup.rules(&new.secret(), Mode::Strict));
        assert_eq!(ask().await, StatusCode::OK);
    }
}

#[tokio::test]
async fn curl_is_logged_in() {
    let (setup, token) = (Setup::new(), token());
    let world = World::new(Rules::default()).await;
    world.run.swap(setup.rules(&token.secret(), Mode::Strict));
    vendor(&world, VENDOR, &[&token]).await;
    let folder = std::env::temp_dir().join(format!("moat-run-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, world.ca.certificate_pem()).unwrap();
    let mut curl = Command::new("curl");
    let output = curl
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["--silent", "--show-error", "--include", "--max-time", "10", "--cacert"])
        .arg(&ca)
        .args(["--proxy", &format!("http://moat:{TOKEN}@{}", world.address)])
        .args(["--header", &format!("Authorization: token {}", Setup::placeholder(&setup.run))])
        .arg(format!("https://{VENDOR}/me"));
    let output = soon(output.output()).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{shown} {errors}");
    assert!(shown.contains("200") && shown.contains("\"you\": \"sent\""), "{shown}");
    assert!(token.find_in(&output.stdout).is_none(), "{shown}");
}
