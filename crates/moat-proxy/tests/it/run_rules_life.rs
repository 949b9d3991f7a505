//! What a run lives through: secrets that answers issue, rotation, revocation, endpoints, services
//! of this machine.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, request, response};
use http_body_util::BodyExt;
use moat_provider_core::{
    BoxFuture, CredentialKey, EndpointCall, EndpointHandler, EndpointRouter, HeldField, Interest,
    IssuingEndpoint, Position, ProxyConfigurer, ResponseTransformer, SecretName, SecretSource,
    Secrets, TransformRule,
};
use moat_provider_testkit::Canary;
use moat_proxy::plane::seam::Defer;
use moat_proxy::{Keeper, Mode, Policy, RunRules, RunRulesBuilder};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::engine_support::{host, shape};
use crate::grants::{Grants, VENDOR, bearer, grant, policy, reason, send};
use crate::names::Names;
use crate::support::client::{Http, empty, full};
use crate::support::origin::{Origin, raw, text};
use crate::support::{RealClock, Rules, World, soon};

const ISSUER: &str = "auth.vendor.test";

fn builder(grants: &Grants, policy: Policy) -> RunRulesBuilder {
    let generation = grants.try_build(policy.mode()).unwrap();
    RunRules::builder(Arc::new(grants.context()), Arc::new(RealClock), policy, generation)
}

fn open(mode: Mode) -> Policy {
    policy(mode).build()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A grant whose vendor issues an access token that the run may use at [`VENDOR`].
fn issuing() -> Grants {
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    grants.bearer(&grant, host(VENDOR).under("/other").unwrap());
    grants.rules.reach(host(VENDOR));
    grants.rules.reach(host(ISSUER));
    let access = HeldField::new("/access_token", shape())
        .used_at(host(VENDOR), Position::Header(AUTHORIZATION));
    let token = host(ISSUER).exact("/token").unwrap().methods([Method::POST]).unwrap();
    grants.issues(&grant, IssuingEndpoint::new(token, "a token").hold([access]));
    grants
}

/// Issues a token, compressed, although nobody asked for that; longer than may be held on demand.
async fn issuer(world: &World, issued: &Canary) {
    let body = format!("{{\"access_token\":\"{}\"}}", issued.text());
    Origin::tls(&world.origins, &world.net, ISSUER, &["h2", "http/1.1"], move |request| {
        let plain = match request.headers().get("x-length") {
            Some(_) => format!("{body}{}", " ".repeat(2 << 20)),
            None => body.clone(),
        };
        async move {
            let mut answer = text(gzip(&plain));
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        }
    })
    .await;
}

/// Says who was recognised, and repeats what it was sent.
async fn echo(world: &World, known: &[&Canary]) -> Origin {
    let known: Vec<_> = known.iter().map(|it| format!("Bearer {}", it.text())).collect();
    Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], move |request| {
        let sent = request.headers().get(AUTHORIZATION).cloned();
        let sent = sent.map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        let status = if known.contains(&sent) { 200 } else { 401 };
        async move {
            let mut answer = text(format!("{{\"sent\":\"{sent}\"}}"));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        }
    })
    .await
}

fn issued_placeholder(answer: &Response<Bytes>) -> String {
    let json: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    json["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_that_an_answer_issues_stays_on_the_host_and_outlives_a_rotation() {
    for version in Http::BOTH {
        let (grants, issued) = (issuing(), Canary::of_shape(&shape()));
        let world = World::new(Rules::default()).await;
        let first = Arc::new(builder(&grants, open(Mode::Strict)).build().unwrap());
        world.run.swap(first.clone());
        issuer(&world, &issued).await;
        echo(&world, &[&issued]).await;
        // The host is known before it has a secret: nothing that was remembered may stay.
        send(&world, VENDOR, version, "GET /early", &[]).await;

        let answer = send(&world, ISSUER, version, "POST /token", &[]).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(issued.find_in(answer.body()), None);
        assert!(!answer.headers().contains_key(CONTENT_ENCODING));
        let placeholder = format!("Bearer {}", issued_placeholder(&answer));

        let next = builder(&grants, open(Mode::Strict)).succeeding(&first).build().unwrap();
        let mut generations: Vec<Arc<RunRules>> = vec![first, Arc::new(next)];
        for rules in generations.drain(..) {
            world.run.swap(rules);
            let headers = [("authorization", placeholder.as_str())];
            let answer = send(&world, VENDOR, version, "GET /", &headers).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            assert!(answer.body().starts_with(b"{\"sent\":\"Bearer "));
            assert_eq!(issued.find_in(answer.body()), None, "it is scrubbed");
        }
        // A run that does not follow knows nothing of it.
        world.run.swap(Arc::new(builder(&grants, open(Mode::Strict)).build().unwrap()));
        let headers = [("authorization", placeholder.as_str())];
        let answer = send(&world, VENDOR, version, "GET /", &headers).await;
        assert_ne!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_token_issued_under_rules_that_were_replaced_is_known_to_those_that_follow() {
    let (grants, issued) = (issuing(), Canary::of_shape(&shape()));
    let world = World::new(Rules::default()).await;
    let first = Arc::new(builder(&grants, open(Mode::Strict)).build().unwrap());
    world.run.swap(first.clone());
    let next = Arc::new(builder(&grants, open(Mode::Strict)).succeeding(&first).build().unwrap());
    issuer(&world, &issued).await;
    echo(&world, &[&issued]).await;
    let answer = send(&world, ISSUER, Http::One, "POST /token", &[]).await;
    let placeholder = format!("Bearer {}", issued_placeholder(&answer));
    world.run.swap(next);
    let headers = [("authorization", placeholder.as_str())];
    let answer = send(&world, VENDOR, Http::Two, "GET /", &headers).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_issues_a_token_and_is_too_long_is_refused() {
    let (grants, issued) = (issuing(), Canary::of_shape(&shape()));
    let world = World::new(Rules::default()).await;
    world.run.swap(Arc::new(builder(&grants, open(Mode::Strict)).build().unwrap()));
    issuer(&world, &issued).await;
    for version in Http::BOTH {
        let answer = send(&world, ISSUER, version, "POST /token", &[("x-length", "1")]).await;
        assert_eq!((answer.status().as_u16(), reason(&answer)), (502, Some("unreadable-answer")));
        assert_eq!(issued.find_in(answer.body()), None);
    }
}

#[derive(Debug)]
struct Shouts;

impl ResponseTransformer for Shouts {
    fn interest(&self, _: &request::Parts, _: &response::Parts) -> Interest {
        Interest::Body { limit: 1000 }
    }

    fn transform_body(&self, _: &request::Parts, body: Bytes) -> moat_provider_core::Result<Bytes> {
        Ok(body.to_ascii_uppercase().into())
    }
}

#[tokio::test]
async fn a_transformer_sees_decoded_bodies_and_a_longer_one_is_scrubbed_all_the_same() {
    let (mut grants, grant) = bearer();
    let owner = "vendor".parse().unwrap();
    grants.rules.transform(TransformRule::new(owner, host(VENDOR), Arc::new(Shouts)));
    let world = World::new(Rules::default()).await;
    world.run.swap(Arc::new(builder(&grants, open(Mode::Strict)).build().unwrap()));
    let token = grant.canary.text().to_owned();
    Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], move |request| {
        let mut answer = match request.uri().path() {
            "/gzip" => text(gzip("quiet")),
            "/long" => text(format!("{}{token}", "quiet ".repeat(1000))),
            _ => text("quiet"),
        };
        if request.uri().path() == "/gzip" {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        async move { answer }
    })
    .await;
    for version in Http::BOTH {
        for path in ["GET /plain", "GET /gzip"] {
            let answer = send(&world, VENDOR, version, path, &[]).await;
            assert_eq!(answer.body(), "QUIET", "{path}");
            assert!(!answer.headers().contains_key(CONTENT_ENCODING));
        }
        let answer = send(&world, VENDOR, version, "GET /long", &[]).await;
        assert!(answer.body().starts_with(b"quiet quiet"));
        assert_eq!(grant.canary.find_in(answer.body()), None);
    }
}

/// Knows how its vendor rejects a secret without a 401.
#[derive(Debug)]
struct KnowsRejections;

impl ResponseTransformer for KnowsRejections {
    fn interest(&self, _: &request::Parts, _: &response::Parts) -> Interest {
        Interest::Body { limit: 1000 }
    }

    fn is_rejection(&self, _: &request::Parts, body: &Bytes) -> bool {
        body == "rejected"
    }

    fn transform_body(&self, _: &request::Parts, _: Bytes) -> moat_provider_core::Result<Bytes> {
        Ok("told".into())
    }
}

#[tokio::test]
async fn what_says_the_same_as_a_401_is_told_once_too() {
    let (mut grants, grant) = bearer();
    let owner = "vendor".parse().unwrap();
    let rule = TransformRule::new(owner, host(VENDOR), Arc::new(KnowsRejections));
    grants.rules.transform(rule);
    let world = World::new(Rules::default()).await;
    let keeper = Arc::new(Waits { asked: AtomicUsize::new(1), ..Waits::default() });
    let rules = builder(&grants, open(Mode::Strict)).keeper(keeper.clone());
    world.run.swap(Arc::new(rules.build().unwrap()));
    Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], |request| {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        async move { text(path) }
    })
    .await;
    let own = [("authorization", "Bearer of-the-client")];
    let told = || keeper.rejected.lock().unwrap().clone();
    for version in Http::BOTH {
        send(&world, VENDOR, version, "GET /accepted", &[]).await;
        send(&world, VENDOR, version, "GET /rejected", &own).await;
    }
    assert_eq!(told(), [], "nothing was rejected that was put in");
    for version in Http::BOTH {
        let answer = send(&world, VENDOR, version, "GET /rejected", &[]).await;
        assert_eq!(answer.body(), "told", "what the client reads is the transformer's");
        assert_eq!(told(), std::slice::from_ref(&grant.key));
    }
}

/// Wants the first request to wait, and counts refusals.
#[derive(Debug, Default)]
struct Waits {
    ready: Arc<Notify>,
    asked: AtomicUsize,
    rejected: Mutex<Vec<CredentialKey>>,
}

impl Keeper for Waits {
    fn prepare(&self, grants: &[CredentialKey]) -> Option<Defer> {
        assert_eq!(grants.len(), 1);
        if self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return None;
        }
        let ready = Arc::clone(&self.ready);
        Some(Box::pin(async move { ready.notified().await }))
    }

    fn rejected(&self, grant: &CredentialKey) {
        self.rejected.lock().unwrap().push(grant.clone());
    }
}

#[tokio::test]
async fn a_request_waits_for_its_secret_and_a_401_is_told_once() {
    for version in Http::BOTH {
        let (old, old_grant) = bearer();
        let (new, new_grant) = bearer();
        let keeper = Arc::new(Waits::default());
        let world = World::new(Rules::default()).await;
        let first = builder(&old, open(Mode::Strict)).keeper(keeper.clone()).build().unwrap();
        world.run.swap(Arc::new(first));
        echo(&world, &[&new_grant.canary]).await;
        let mut client = world.client(VENDOR, version).await;
        let waiting = tokio::spawn(async move {
            let answer = client.get("/").await;
            (client, answer)
        });
        let fresh = builder(&new, open(Mode::Strict)).keeper(keeper.clone()).build().unwrap();
        while keeper.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        world.run.swap(Arc::new(fresh));
        keeper.ready.notify_one();
        let (mut client, answer) = soon(waiting).await.unwrap();
        assert_eq!(answer.status(), 200, "the secret that was waited for is used");

        let stale = builder(&old, open(Mode::Strict)).keeper(keeper.clone()).build().unwrap();
        world.run.swap(Arc::new(stale));
        for _ in 0..3 {
            let answer = client.get("/").await;
            assert_eq!(answer.status(), 401);
            assert_eq!(old_grant.canary.find_in(answer.body()), None);
        }
        assert_eq!(*keeper.rejected.lock().unwrap(), [old_grant.key]);
    }
}

#[tokio::test]
async fn what_is_open_with_a_secret_ends_when_its_grant_is_revoked() {
    for version in Http::BOTH {
        let (grants, grant) = bearer();
        let token = CancellationToken::new();
        let other = CancellationToken::new();
        let rules = builder(&grants, open(Mode::Strict))
            .revocation(grant.key.clone(), token.clone())
            .revocation("another".parse().unwrap(), other.clone());
        let mut world = World::new(Rules::default()).await;
        world.run.swap(Arc::new(rules.build().unwrap()));
        Origin::tls(&world.origins, &world.net, VENDOR, &["h2", "http/1.1"], |_| async {
            let mut sent = false;
            let frames = crate::support::origin::stream(move |_| {
                if std::mem::replace(&mut sent, true) {
                    return std::task::Poll::Pending;
                }
                let data = Bytes::from_static(b"data: 1\n\n");
                std::task::Poll::Ready(Some(Ok(http_body::Frame::data(data))))
            });
            Response::new(BodyExt::boxed_unsync(http_body_util::StreamBody::new(frames)))
        })
        .await;
        let mut client = world.client(VENDOR, version).await;
        let request = client.request("GET", "/events").body(empty()).unwrap();
        let mut events = soon(client.send(request)).await.unwrap().into_body();
        let first = soon(events.frame()).await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
        other.cancel();
        token.cancel();
        assert!(soon(events.frame()).await.unwrap().is_err());
        let record = world.record(|record| record.status.is_some()).await;
        assert_eq!(record.reason, Some("credential-revoked"));
    }
}

#[tokio::test]
async fn so_does_what_has_it_in_its_body() {
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    grants.substitute(&grant, host(VENDOR), Position::JsonField("/token".into()));
    let token = CancellationToken::new();
    let rules = builder(&grants, open(Mode::Strict)).revocation(grant.key.clone(), token.clone());
    let mut world = World::new(Rules::default()).await;
    world.run.swap(Arc::new(rules.build().unwrap()));
    let asked = Arc::new(Notify::new());
    let tell = Arc::clone(&asked);
    Origin::tls(&world.origins, &world.net, VENDOR, &["http/1.1"], move |_| {
        tell.notify_one();
        std::future::pending::<Response<_>>()
    })
    .await;
    let mut client = world.client(VENDOR, Http::One).await;
    let request = client.request("POST", "/").header("content-type", "application/json");
    let body = full(format!(r#"{{"token":"{}"}}"#, grant.placeholder));
    let request = request.body(body).unwrap();
    let waiting = tokio::spawn(async move { client.send(request).await.map(drop) });
    soon(asked.notified()).await;
    token.cancel();
    assert!(soon(waiting).await.unwrap().is_err());
    let record = world.record(|record| record.method == "POST").await;
    assert_eq!(record.reason, Some("credential-revoked"));
}

#[derive(Debug)]
struct Tells;

impl EndpointHandler for Tells {
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async move {
            let (secrets, _) = call.secrets.current().await.unwrap();
            let known = secrets.get(&SecretName::TOKEN).is_some();
            Response::new(format!("{} {known}", call.request.uri().path()).into())
        })
    }
}

#[derive(Debug)]
struct Fixed(Secrets);

impl SecretSource for Fixed {
    fn current(
        &self,
    ) -> BoxFuture<'_, moat_provider_core::Result<(Secrets, Option<OffsetDateTime>)>> {
        Box::pin(async { Ok((self.0.clone(), None)) })
    }
}

#[tokio::test]
async fn endpoints_answer_whoever_has_their_token() {
    let (grants, grant) = bearer();
    let endpoint = grants.placeholder(&grant.key, "endpoint");
    let header = HeaderName::from_static("x-endpoint-token");
    let mut router = EndpointRouter::default();
    router.get("/credentials", header, endpoint.clone(), Arc::new(Tells)).unwrap();
    let secrets = [(SecretName::TOKEN, grant.canary.secret())].into_iter().collect();
    let secrets = Arc::new(Fixed(secrets));
    let rules = builder(&grants, open(Mode::Strict)).endpoints(&grant.key, router, secrets);
    let mut world = World::new(Rules::default()).await;
    world.run.swap(Arc::new(rules.build().unwrap()));
    let right = format!("x-endpoint-token: {endpoint}\r\n");
    let path = format!("/{}/credentials", grant.key);
    for (line, fields, status, body) in [
        (&*format!("GET {path}?x=/credentials"), right.as_str(), "200", "/credentials true"),
        (&*format!("GET {path}"), "", "401", ""),
        (&*format!("GET {path}"), "x-endpoint-token: other\r\n", "401", ""),
        (&*format!("POST {path}"), right.as_str(), "405", ""),
        (&*format!("GET {path}/more"), right.as_str(), "404", "no-such-endpoint"),
        ("GET /credentials", right.as_str(), "404", "no-such-endpoint"),
    ] {
        let answer = world.direct(line, fields).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        assert!(answer.contains(body), "{answer}");
    }
    let record = world.record(|record| record.reason.is_some()).await;
    assert_eq!(record.reason, Some("no-such-endpoint"));
}

#[tokio::test]
async fn a_service_of_this_machine_is_reached_by_its_name_where_that_was_allowed() {
    let names = Names::default();
    let world = World::with(Rules::default(), Default::default(), |it| names.install(it)).await;
    let service = raw(&world.net, "service.test", 3000, |mut tcp| async move {
        crate::support::client::head(&mut tcp).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlocal";
        _ = tokio::io::AsyncWriteExt::write_all(&mut tcp, answer).await;
    })
    .await;
    names.lead_to(service);
    let policy = policy(Mode::Permissive).allow("host.moat.internal:3000").unwrap().build();
    world.run.swap(Arc::new(builder(&Grants::new(), policy).build().unwrap()));
    let get = async |host: &str| {
        let field = format!("Host: {host}\r\n");
        world.direct(&format!("GET http://{host}/"), &field).await
    };
    let answer = get("host.moat.internal:3000").await;
    assert!(answer.ends_with("local"), "{answer}");
    assert!(names.dialled().iter().all(|address| address.ip().is_loopback()));
    let dialled = names.dialled().len();
    for (host, expected) in [
        ("host.moat.internal:3001", "local-service-not-allowed"),
        ("localhost:3000", "local-address"),
        ("127.0.0.1:3000", "local-address"),
        ("x.moat.internal:3000", "name-not-found"),
    ] {
        let answer = get(host).await;
        assert!(answer.contains(expected), "{host}: {answer}");
    }
    assert_eq!(names.dialled().len(), dialled);
    assert_eq!(names.asked(), [""; 0], "none of these is looked up");
}

#[tokio::test]
async fn a_placeholder_on_its_way_elsewhere_is_recorded() {
    let (grants, grant) = bearer();
    let mut world = World::new(Rules::default()).await;
    // An entry with a path has the other host intercepted.
    let policy = policy(Mode::Permissive).allow("GET other.test/**").unwrap().build();
    world.run.swap(Arc::new(builder(&grants, policy).build().unwrap()));
    Origin::tls(&world.origins, &world.net, "other.test", &["h2", "http/1.1"], |_| async {
        text("")
    })
    .await;
    let line = format!("GET /?key={}", grant.placeholder);
    let headers = [("x-api-key", grant.placeholder.as_str())];
    let answer = send(&world, "other.test", Http::Two, &line, &headers).await;
    assert_eq!(answer.status(), 200);
    let record = world.record(|record| record.status.is_some()).await;
    assert_eq!(record.strays, ["x-api-key", "query key"]);
    assert!(record.to_json().contains("\"strays\":[\"x-api-key\",\"query key\"]"));
}
