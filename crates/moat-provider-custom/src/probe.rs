//! Trying a secret: one request to the service, at a path of the person's choice.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Method, Request, Response};
use moat_provider_core::{
    Error, ErrorKind, HostContext, HostPattern, PathPattern, Result, Secret, Timeout, retry_after,
};

use crate::options::{QUERY, TEST_PATH};
use crate::service::Service;
use crate::text::shown;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait when the service asks to slow down and does not say for how long.
const SLOW_DOWN: Duration = Duration::from_secs(60);

/// Where a secret is tried.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    host: HostPattern,
    path: String,
}

impl Probe {
    /// Finds the host at which `path` is one that gets the secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when there is none, or the secret is part of the URL.
    pub(crate) fn new(service: &Service, path: &str) -> Result<Self> {
        if service.way().header().is_none() {
            // Servers log URLs, and the answer to a URL that does not exist may repeat it.
            return Err(Error::invalid(format!(
                "a secret in the query is not tried: --{QUERY} goes without --{TEST_PATH}"
            ))
            .with_hint(format!("leave --{TEST_PATH} out")));
        }
        PathPattern::exact(path).map_err(|_| {
            Error::invalid(format!("{} is no plain path to try a secret at", shown(path)))
                .with_hint(format!("write a path without query, as in --{TEST_PATH} /v1/me"))
        })?;
        for place in service.places().iter().filter(|place| !place.host().is_wildcard()) {
            let host = place.host();
            if place.target()?.matches(&host.host(), host.port(), &Method::GET, path) {
                return Ok(Self { host: host.clone(), path: path.to_owned() });
            }
        }
        let places = service.where_to();
        Err(Error::invalid(format!("{} is at no single host of {places}", shown(path))).with_hint(
            format!("choose a --{TEST_PATH} at a host without *, where the secret goes"),
        ))
    }

    /// Sends the secret, and takes any success for an answer.
    ///
    /// # Errors
    ///
    /// What the answer means otherwise. Nothing of its body is shown. `again` is the command that
    /// grants.
    pub(crate) async fn send(
        &self,
        cx: &HostContext,
        service: &Service,
        secret: &Secret,
        again: &str,
    ) -> Result<()> {
        let mut request = Request::get(format!("https://{}{}", self.host, self.path))
            .header(USER_AGENT, "moat")
            .extension(Timeout(PATIENCE));
        if let Some((name, template)) = service.way().header() {
            request = request.header(name, template.render(secret)?);
        }
        let request = request.body(Bytes::new()).map_err(|_| {
            Error::invalid(format!("{} cannot stand in a URL", shown(&self.path)))
                .with_hint(format!("choose another --{TEST_PATH}"))
        })?;
        let answer = cx.http().send(request).await.map_err(|error| self.unreached(error))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(self.refused(cx, &answer, again)),
        }
    }

    fn unreached(&self, error: Error) -> Error {
        let host = &self.host;
        let (message, hint) = match error.kind() {
            ErrorKind::TimedOut => (
                format!("{host} did not answer within {} seconds", PATIENCE.as_secs()),
                format!("try again later, or leave --{TEST_PATH} out"),
            ),
            ErrorKind::Offline => (
                format!("{host} was not reached"),
                format!("check the host's name and the network, or leave --{TEST_PATH} out"),
            ),
            ErrorKind::UnexpectedAnswer => (
                format!("what came from {host} is not understood"),
                "check the host's name and port, and whether something on the way answers instead"
                    .to_owned(),
            ),
            _ => return error,
        };
        Error::new(error.kind(), message).with_hint(hint).with_source(error)
    }

    fn refused(&self, cx: &HostContext, answer: &Response<Bytes>, again: &str) -> Error {
        let Self { host, path } = self;
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers(), cx.clock().now());
        let later = format!("try again later, or leave --{TEST_PATH} out");
        match status {
            401 => Error::new(
                ErrorKind::Unauthenticated,
                format!("{host} does not accept the secret (401)"),
            )
            .with_hint(format!("check the secret and the way it is sent, then: {again}")),
            403 => Error::new(
                ErrorKind::PermissionDenied,
                format!("{host} refuses {path} with this secret (403)"),
            )
            .with_hint(format!(
                "widen the secret's permissions or choose another --{TEST_PATH}, then: {again}"
            )),
            429 => Error::new(ErrorKind::RateLimited, format!("{host} asks to slow down (429)"))
                .with_hint(later)
                .with_retry_after(wait.unwrap_or(SLOW_DOWN)),
            500..=599 => {
                let message = format!("{host} is out of order ({status})");
                let error = Error::new(ErrorKind::Unavailable, message).with_hint(later);
                match wait {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                }
            }
            300..=399 => Error::new(
                ErrorKind::UnexpectedAnswer,
                format!("{host}{path} answers with a redirect ({status}), which is not followed"),
            )
            .with_hint(format!("write the host to which it leads, or another --{TEST_PATH}")),
            _ => Error::new(
                ErrorKind::UnexpectedAnswer,
                format!("{host}{path} answers with status {status}"),
            )
            .with_hint(format!("choose a --{TEST_PATH} that a GET may read, or leave it out")),
        }
    }
}
