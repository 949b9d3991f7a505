//! Endpoints that the host serves to the container.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use moat_provider_core::{
    BoxFuture, EndpointCall, EndpointHandler, EndpointRouter, Error, ErrorKind, Placeholder,
    Result, SecretSource, Secrets,
};
use time::OffsetDateTime;

use super::Rule;
use super::report::Report;
use super::subject::{Observation, Sample, Subject};
use crate::{FakeClock, Ports, block_on};

pub(super) fn check(report: &mut Report, subject: &Subject<'_>, observation: &Observation) {
    let Some(provider) = subject.provider.as_endpoint() else {
        return;
    };
    for sample in &subject.samples {
        let what = format!("register_endpoints for {}", sample.what);
        let mut router = EndpointRouter::default();
        let info = sample.credential.info();
        let registered =
            report.call(&what, || provider.register_endpoints(&mut router, info, &observation.run));
        let Some(registered) = registered else { continue };
        let secrets = sample.secrets();
        if report.require(Rule::Configuration, &secrets, &what, registered).is_none() {
            continue;
        }
        let endpoints: Vec<_> = router
            .endpoints()
            .zip(router.tokens())
            .map(|((method, path), (header, token))| Endpoint {
                method: method.clone(),
                path: path.to_owned(),
                header: header.clone(),
                token: token.clone(),
            })
            .collect();
        if endpoints.is_empty() {
            report.add(Rule::Endpoints, format!("{what} registers none"));
        }
        let source = Source(Ok((current(report, subject, sample, observation), None)));
        for endpoint in &endpoints {
            endpoint.check(report, &router, subject, sample, &source);
        }
    }
}

/// Returns stored and minted secrets.
fn current(
    report: &mut Report,
    subject: &Subject<'_>,
    sample: &Sample,
    observation: &Observation,
) -> Secrets {
    let stored = sample.credential.secrets();
    let own = stored.iter().map(|(name, secret)| (name.clone(), secret.clone()));
    let Some(provider) = subject.provider.as_minting() else {
        return own.collect();
    };
    let cx = subject.expect.with_vendor(&sample.canary, Ports::bare()).host_context();
    let minted =
        report.call("mint", || block_on(provider.mint(&cx, &sample.credential, &observation.run)));
    match minted {
        Some(Ok(minted)) => {
            let minted = minted.secrets().iter();
            own.chain(minted.map(|(name, secret)| (name.clone(), secret.clone()))).collect()
        }
        // That a mint fails is reported where mints are checked.
        _ => own.collect(),
    }
}

struct Endpoint {
    method: Method,
    path: String,
    header: HeaderName,
    token: Placeholder,
}

impl Endpoint {
    fn check(
        &self,
        report: &mut Report,
        router: &EndpointRouter,
        subject: &Subject<'_>,
        sample: &Sample,
        source: &Source,
    ) {
        self.strangers(report, router);
        let what = format!("{} {}", self.method, self.path);
        let recognized = subject.runs.key().recognizes(self.token.as_str());
        report.demand(recognized, Rule::Placeholders, || {
            format!("the token of {what} is not a placeholder of this host")
        });
        let Ok(handler) = router.find(&self.request(&self.method, &self.path, true)) else {
            report.add(Rule::Endpoints, format!("{what} refuses its own token"));
            return;
        };
        self.answer(report, handler, sample, source);
        let kinds = [ErrorKind::TokenRevoked, ErrorKind::Unavailable, ErrorKind::TimedOut];
        for kind in kinds {
            self.answer(report, handler, sample, &Source(Err(kind)));
        }
    }

    fn request(&self, method: &Method, path: &str, with_token: bool) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method.clone();
        if let Ok(uri) = path.parse() {
            *request.uri_mut() = uri;
        }
        if with_token && let Ok(value) = HeaderValue::from_str(self.token.as_str()) {
            request.headers_mut().insert(self.header.clone(), value);
        }
        request
    }

    /// Requests that nobody may make.
    fn strangers(&self, report: &mut Report, router: &EndpointRouter) {
        let mut wrong = self.request(&self.method, &self.path, true);
        let stranger = HeaderValue::from_static("stranger");
        wrong.headers_mut().insert(self.header.clone(), stranger.clone());
        let mut doubled = self.request(&self.method, &self.path, true);
        doubled.headers_mut().append(self.header.clone(), stranger);
        let below = format!("{}/below", self.path);
        let strangers = [
            ("without its token", self.request(&self.method, &self.path, false)),
            ("with another token", wrong),
            ("with two tokens", doubled),
            ("below its path", self.request(&self.method, &below, true)),
            ("with TRACE", self.request(&Method::TRACE, &self.path, true)),
        ];
        for (how, request) in strangers {
            report.demand(router.find(&request).is_err(), Rule::Endpoints, || {
                format!("{} {} answers a request {how}", self.method, self.path)
            });
        }
    }

    fn answer(
        &self,
        report: &mut Report,
        handler: &dyn EndpointHandler,
        sample: &Sample,
        source: &Source,
    ) {
        let clock = FakeClock::new();
        let request = self.request(&self.method, &self.path, true);
        let what = match &source.0 {
            Ok(_) => format!("{} {}", self.method, self.path),
            Err(kind) => format!("{} {} without secrets ({kind:?})", self.method, self.path),
        };
        let call = || block_on(handler.call(EndpointCall::new(request, source, &clock)));
        let Some(response) = report.call(&what, call) else { return };
        search(report, sample, &what, &response);
        let status = response.status();
        let fits = match &source.0 {
            // What it wants of the request's query and body is its own.
            Ok(_) => status.is_success() || status.is_client_error(),
            Err(_) => status.is_server_error() || status == StatusCode::BAD_REQUEST,
        };
        report.demand(fits, Rule::Endpoints, || format!("{what} answers {status}"));
        let mut caching = response.headers().get_all(CACHE_CONTROL).iter();
        let forbidden = caching.any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|part| part.trim().eq_ignore_ascii_case("no-store"))
            })
        });
        report.demand(forbidden, Rule::Endpoints, || {
            format!("{what} answers without Cache-Control: no-store")
        });
    }
}

fn search(report: &mut Report, sample: &Sample, what: &str, response: &Response<Bytes>) {
    let stored = sample.secrets();
    let rule = Rule::SecretInEndpoints;
    report.search(rule, &stored, format_args!("the body of {what}"), response.body());
    for value in response.headers().values() {
        report.search(rule, &stored, format_args!("a header of {what}"), value);
    }
}

/// Secrets as they are now, or a failure.
#[derive(Debug)]
struct Source(Result<(Secrets, Option<OffsetDateTime>), ErrorKind>);

impl SecretSource for Source {
    fn current(&self) -> BoxFuture<'_, Result<(Secrets, Option<OffsetDateTime>)>> {
        Box::pin(async {
            match &self.0 {
                Ok(current) => Ok(current.clone()),
                Err(kind) => Err(Error::new(*kind, "there are no secrets at the moment")),
            }
        })
    }
}
