//! What several tests share: tokens, credentials and a GitHub.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use moat_provider_core::{
    Alphabet, Credential, CredentialInfo, CredentialKey, CredentialProvider, ErrorKind, GrantError,
    GrantRequest, HeaderTemplate, RunContext, Secret,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::{Canary, FakeClock, Ports, Vendor, block_on, empty, json, run_context};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

pub(crate) fn clock(text: &str) -> FakeClock {
    FakeClock::at(time(text))
}

/// Draws a token with one of GitHub's prefixes.
pub(crate) fn token(prefix: &str) -> Canary {
    Canary::shaped(prefix, Alphabet::Alphanumeric, 36)
}

/// Makes a credential as a grant would have made it.
pub(crate) fn credential(grant: &str, token: &Secret, source: &str, kind: &str) -> Credential {
    let key = key(grant);
    let host = key.qualifier().unwrap_or("github.com").to_owned();
    Credential::builder(key, token.clone(), time("2026-11-01T00:00:00Z"))
        .metadata(Credential::TOKEN_SOURCE, source)
        .metadata("token_kind", kind)
        .metadata("host", host)
        .metadata("login", "octocat")
        .build()
}

pub(crate) fn grant(
    ports: &Ports,
    grant: &str,
    source: Option<&str>,
) -> Result<Credential, GrantError> {
    let github = GitHub::new();
    let options = source.map(|source| ("source", source));
    let request = GrantRequest::with_options(key(grant), github.grant_options(), options).unwrap();
    block_on(github.grant(&ports.grant_context(), &request))
}

pub(crate) fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table.as_array().unwrap().clone()
}

/// Names a kind as the tables do.
pub(crate) fn kind_name(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

/// A GitHub that knows some tokens and answers all others with 401.
pub(crate) struct Accounts {
    known: Vec<(HeaderValue, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Accounts {
    pub(crate) fn new() -> Self {
        Self { known: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn knows(mut self, token: &Secret, login: &str) -> Self {
        let value = HeaderTemplate::Bearer.render(token).unwrap();
        self.known.push((value, login.to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((HeaderName::from_static(name), value.parse().unwrap()));
        self
    }
}

impl Vendor for Accounts {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().trim_start_matches("/api/v3");
        let sent = request.headers().get(AUTHORIZATION);
        if path == "/credentials/revoke" {
            return self.report(request);
        }
        let Some((value, login)) = self.known.iter().find(|(value, _)| Some(value) == sent) else {
            return json(401, &json!({"message": "Bad credentials"}));
        };
        let is_installation = value.to_str().unwrap().starts_with("Bearer ghs_");
        let mut response = match (request.method().as_str(), path, is_installation) {
            ("GET", "/user", false) => json(200, &json!({"login": login, "id": 583_231})),
            ("GET", "/user", true) => {
                json(403, &json!({"message": "Resource not accessible by integration"}))
            }
            ("GET", "/installation/repositories", true) => {
                json(200, &json!({"total_count": 3, "repositories": []}))
            }
            ("DELETE", "/installation/token", true) => empty(204),
            _ => empty(404),
        };
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl Accounts {
    /// GitHub takes any list; this one wants exactly one token that it knows.
    fn report(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if request.headers().contains_key(AUTHORIZATION) {
            return json(403, &json!({"message": "Must be unauthenticated"}));
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let known = self.known.iter().any(|(value, _)| {
            let token = value.to_str().unwrap().trim_start_matches("Bearer ");
            body == json!({"credentials": [token]})
        });
        match known && request.method() == Method::POST {
            true => json(202, &json!({})),
            false => json(401, &json!({"message": "Bad credentials"})),
        }
    }
}

/// A run with these grants, on whose host gh has this configuration.
pub(crate) fn run<'a>(
    grants: impl IntoIterator<Item = &'a CredentialInfo>,
    gh_config: Option<&str>,
) -> RunContext {
    let github = GitHub::new();
    let mut run = run_context("golden");
    for info in grants {
        run = run.grant(info.clone());
    }
    if let Some(config) = gh_config {
        run = run.host_file(&github.host_files()[0], Secret::new(config.to_owned()));
    }
    run.build()
}
