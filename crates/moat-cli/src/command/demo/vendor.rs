//! Two hosts on loopback: an API that behaves like GitHub's, and one that has nothing to do with it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use moat_provider_core::Secret;
use moat_provider_testkit::{VendorDouble, json};
use serde_json::json as value;

/// The host that the API stands for.
pub(super) const API: &str = "api.github.com";
/// A host that no grant is for.
pub(super) const OTHER: &str = "elsewhere.test";

/// The hosts. They end when this is dropped.
pub(super) struct Vendor {
    double: VendorDouble,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

/// A request that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) host: String,
    /// What its `Authorization` header had behind the scheme.
    pub(super) credential: Option<Secret>,
}

impl Vendor {
    /// Starts the hosts. The API accepts one token.
    pub(super) fn start(token: &Secret) -> Self {
        let (token, arrivals) = (token.clone(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&arrivals);
        let answer = move |request: &Request<Bytes>| {
            let arrival = Arrival::of(request);
            let answer = match arrival.host.as_str() {
                API => answer(request.uri().path(), arrival.credential.as_ref(), &token),
                _ => json(200, &value!({"message": "Hello"})),
            };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
            answer
        };
        Self { double: VendorDouble::https(answer, [API, OTHER]), arrivals }
    }

    /// Returns the rules that lead to the hosts, as `--connect-to` takes them.
    pub(super) fn connect_to(&self) -> Vec<String> {
        let port = self.double.address().port();
        [API, OTHER].map(|host| format!("{host}:443:127.0.0.1:{port}")).into()
    }

    /// Returns the certificate of the authority that vouches for them.
    pub(super) fn authority(&self) -> String {
        self.double.authority_pem().unwrap_or_default()
    }

    /// Returns what has arrived since this was called last.
    pub(super) fn take_arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Arrival {
    fn of(request: &Request<Bytes>) -> Self {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // What has no scheme is no less a credential.
        let credential = header.map(|value| value.split_once(' ').map_or(value, |(_, it)| it));
        Self {
            host: request.uri().host().unwrap_or_default().to_ascii_lowercase(),
            credential: credential.map(|credential| Secret::new(credential.to_owned())),
        }
    }
}

/// Answers as GitHub does (GitHub REST API, "Authenticating to the REST API").
fn answer(path: &str, sent: Option<&Secret>, token: &Secret) -> Response<Bytes> {
    match sent {
        None => return json(401, &value!({"message": "Requires authentication"})),
        Some(sent) if !sent.same_as(token) => {
            return json(401, &value!({"message": "Bad credentials"}));
        }
        Some(_) => {}
    }
    let mut answer = match path {
        "/user" => json(200, &value!({"login": "octocat"})),
        _ => json(404, &value!({"message": "Not Found"})),
    };
    answer.headers_mut().insert("x-oauth-scopes", HeaderValue::from_static("repo"));
    answer
}
