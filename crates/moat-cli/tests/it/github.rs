//! A double in the place of GitHub's API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use moat_provider_core::Alphabet;
use moat_provider_testkit::{Canary, Vendor, VendorDouble, empty, json};
use serde_json::json;

use crate::support::Moat;

/// GitHub with one account, whose token may be ended.
pub(crate) struct GitHub {
    pub(crate) token: Canary,
    /// Further tokens of the account.
    others: Arc<Mutex<Vec<Canary>>>,
    double: VendorDouble,
}

struct Api {
    token: Canary,
    others: Arc<Mutex<Vec<Canary>>>,
    is_ended: Arc<AtomicBool>,
}

impl Vendor for Api {
    #[expect(clippy::disallowed_methods, reason = "the vendor knows the token")]
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let others = self.others.lock().unwrap();
        let is_known = std::iter::once(&self.token).chain(&*others).any(|token| {
            let expected = format!("Bearer {}", token.secret().expose());
            request.headers().get("authorization").is_some_and(|it| *it == *expected)
        });
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/user") if is_known && !self.is_ended.load(Ordering::Relaxed) => {
                json(200, &json!({ "login": "octocat" }))
            }
            ("POST", "/credentials/revoke") => {
                self.is_ended.store(true, Ordering::Relaxed);
                empty(202)
            }
            ("GET", "/user") => json(401, &json!({ "message": "Bad credentials" })),
            _ => empty(404),
        }
    }
}

impl GitHub {
    pub(crate) fn new() -> Self {
        let (token, others) = (canary(), Arc::default());
        let is_ended = Arc::default();
        let api = Api { token: token.clone(), others: Arc::clone(&others), is_ended };
        Self { token, others, double: VendorDouble::https(api, ["api.github.com"]) }
    }

    /// Makes another token of the account.
    pub(crate) fn another(&self) -> Canary {
        let token = canary();
        self.others.lock().unwrap().push(token.clone());
        token
    }

    /// Sets a person up whose requests to GitHub come here.
    pub(crate) fn person(&self) -> Moat {
        let moat = Moat::new();
        let authority = moat.path("authority.pem");
        std::fs::write(&authority, self.double.authority_pem().unwrap()).unwrap();
        let port = self.double.address().port();
        moat.env("MOAT_UPSTREAM_CA", authority.to_str().unwrap())
            .env("MOAT_CONNECT_TO", format!("api.github.com:443:127.0.0.1:{port}"))
    }

    /// Sets a person up who has granted the token.
    pub(crate) fn granted(&self) -> Moat {
        let moat = self.person();
        moat.run_with(&["grant", "github", "--token-stdin"], &self.text()).succeeded();
        moat
    }

    /// Returns the token as it is piped.
    pub(crate) fn text(&self) -> String {
        text(&self.token)
    }

    /// Returns methods and paths of the requests that came.
    pub(crate) fn requests(&self) -> Vec<String> {
        let line =
            |request: &Request<Bytes>| format!("{} {}", request.method(), request.uri().path());
        self.double.requests().iter().map(line).collect()
    }
}

/// Draws a token that the vendor does not know.
pub(crate) fn canary() -> Canary {
    Canary::shaped("ghp_", Alphabet::Alphanumeric, 36)
}

/// Returns a token as a program prints it.
#[expect(clippy::disallowed_methods, reason = "the token is handed over in plain")]
pub(crate) fn text(token: &Canary) -> String {
    format!("{}\n", token.secret().expose())
}
