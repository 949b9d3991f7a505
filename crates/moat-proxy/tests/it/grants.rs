//! Runs with grants behind real sockets, and vendors that know their token and note what they saw.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Response, StatusCode, request};
use http_body_util::BodyExt;
use moat_provider_testkit::Canary;
use moat_proxy::{Mode, Policy, PolicyBuilder, RunRules};

use crate::engine_support::{self, Grant, host, shape};
use crate::support::client::{Http, empty, whole};
use crate::support::origin::{Origin, Reply, text};
use crate::support::{RealClock, Rules, World, soon};

pub(crate) use crate::engine_support::World as Grants;

/// The host of most vendors here.
pub(crate) const VENDOR: &str = "api.vendor.test";

/// A grant of a token that neither JSON nor a header has to escape.
pub(crate) fn grant(grants: &mut Grants, name: &str) -> Grant {
    grants.grant_with(name, Canary::of_shape(&shape()))
}

/// One grant, filled in as a bearer token at [`VENDOR`].
pub(crate) fn bearer() -> (Grants, Grant) {
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    grants.bearer(&grant, host(VENDOR));
    (grants, grant)
}

/// A policy under which the test's own hosts have addresses that may be reached.
pub(crate) fn policy(mode: Mode) -> PolicyBuilder {
    Policy::builder(mode).allow("203.0.113.0/24").unwrap()
}

/// What applies to a run with these grants and this policy.
pub(crate) fn rules(grants: &Grants, policy: Policy) -> Arc<RunRules> {
    let generation = grants.try_build(policy.mode()).unwrap();
    let rules =
        RunRules::builder(Arc::new(grants.context()), Arc::new(RealClock), policy, generation);
    Arc::new(rules.build().unwrap())
}

/// A proxy with one run of these grants.
pub(crate) async fn world(grants: &Grants, policy: PolicyBuilder) -> World {
    let world = World::new(Rules::default()).await;
    world.run.swap(rules(grants, policy.build()));
    world
}

/// A request as a vendor saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn holds(&self, canary: &Canary) -> bool {
        engine_support::holds(&self.head, canary) || canary.find_in(&self.body).is_some()
    }

    /// Returns the values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

/// A host that notes what it was sent, and answers 401 to whom it does not know.
pub(crate) struct Vendor {
    pub(crate) origin: Origin,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Vendor {
    /// Knows requests that carry this token as a bearer.
    pub(crate) async fn bearer(world: &World, name: &str, canary: &Canary) -> Self {
        let expected = format!("Bearer {}", canary.text());
        let knows = move |seen: &Seen| seen.all(AUTHORIZATION.as_str()) == [expected.as_str()];
        Self::tls(world, name, &["h2", "http/1.1"], knows).await
    }

    /// Knows nobody.
    pub(crate) async fn stranger(world: &World, name: &str) -> Self {
        Self::tls(world, name, &["h2", "http/1.1"], |_| false).await
    }

    pub(crate) async fn tls(
        world: &World,
        name: &str,
        alpn: &[&str],
        knows: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (seen, respond) = noting(knows);
        let origin = Origin::tls(&world.origins, &world.net, name, alpn, respond).await;
        Self { origin, seen }
    }

    /// Serves port 80 without TLS.
    pub(crate) async fn plain(
        world: &World,
        name: &str,
        knows: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (seen, respond) = noting(knows);
        let origin = Origin::plain(&world.net, name, respond).await;
        Self { origin, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the vendor saw a request")
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub(crate) fn holds(&self, canary: &Canary) -> bool {
        self.seen().iter().any(|seen| seen.holds(canary))
    }
}

type Noted = Arc<Mutex<Vec<Seen>>>;
type Answering = std::pin::Pin<Box<dyn Future<Output = Reply> + Send>>;

fn noting(
    knows: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) -> (
    Noted,
    impl Fn(http::Request<hyper::body::Incoming>) -> Answering + Clone + Send + Sync + 'static,
) {
    let seen = Noted::default();
    let (notes, knows) = (Arc::clone(&seen), Arc::new(knows));
    let respond = move |request: http::Request<hyper::body::Incoming>| -> Answering {
        let (notes, knows) = (Arc::clone(&notes), Arc::clone(&knows));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => return text("a broken body"),
            };
            let seen = Seen { head, body };
            let known = knows(&seen);
            notes.lock().unwrap().push(seen);
            let mut answer = text(if known { "known" } else { "unknown" });
            if !known {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
            }
            answer
        })
    };
    (seen, respond)
}

/// Sends one request on a new tunnel.
pub(crate) async fn send(
    world: &World,
    name: &str,
    version: Http,
    line: &str,
    headers: &[(&str, &str)],
) -> Response<Bytes> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut client = world.client(name, version).await;
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = soon(client.send(request.body(empty()).unwrap())).await;
    whole(answer.unwrap()).await
}

/// Returns why the proxy itself answered, if it did.
pub(crate) fn reason<B>(answer: &Response<B>) -> Option<&str> {
    let headers = answer.headers();
    let marker = headers.get("x-moat-blocked").or_else(|| headers.get("x-moat-error"));
    marker.map(|value| value.to_str().unwrap())
}
