//! An API on loopback that behaves like GitHub's.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use moat_provider_core::Secret;
use moat_provider_testkit::{VendorDouble, json};
use serde_json::json as value;

/// The host that the API stands for.
pub(super) const API: &str = "api.github.com";

/// The API. It ends when this is dropped.
pub(super) struct Vendor {
    double: VendorDouble,
    arrived: Arc<Mutex<Vec<Secret>>>,
}

impl Vendor {
    /// Starts an API that accepts one token.
    pub(super) fn start(token: &Secret) -> Self {
        let (token, arrived) = (token.clone(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&arrived);
        let answer = move |request: &Request<Bytes>| {
            let sent = sent(request);
            let is_known = sent.as_ref().is_some_and(|sent| sent.same_as(&token));
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
            match (is_known, request.uri().path()) {
                (false, _) => json(401, &value!({"message": "Bad credentials"})),
                (true, "/user") => json(200, &value!({"login": "octocat"})),
                (true, _) => json(404, &value!({"message": "Not Found"})),
            }
        };
        Self { double: VendorDouble::https(answer, [API]), arrived }
    }

    pub(super) fn port(&self) -> u16 {
        self.double.address().port()
    }

    /// Returns the certificate of the authority that vouches for it.
    pub(super) fn authority(&self) -> String {
        self.double.authority_pem().unwrap_or_default()
    }

    /// Returns the tokens that have arrived.
    pub(super) fn arrived(&self) -> Vec<Secret> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn sent(request: &Request<Bytes>) -> Option<Secret> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (_, token) = value.split_once(' ')?;
    Some(Secret::new(token.to_owned()))
}
