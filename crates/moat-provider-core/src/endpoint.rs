//! Endpoints that the host serves to a container.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ctutils::CtEq;
use http::header::{ALLOW, CACHE_CONTROL, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use time::OffsetDateTime;

use crate::ports::Clock;
use crate::{
    BoxFuture, CredentialInfo, CredentialProvider, Error, ErrorKind, Placeholder, Result,
    RunContext, Secrets,
};

/// Serves HTTP endpoints to containers, for tools that must hold a credential themselves.
pub trait EndpointProvider: CredentialProvider {
    /// Registers the endpoints of one grant.
    ///
    /// # Errors
    ///
    /// Those of the router, and those of
    /// [`configure_proxy`](CredentialProvider::configure_proxy).
    fn register_endpoints(
        &self,
        router: &mut EndpointRouter,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()>;
}

/// Answers requests to one endpoint.
pub trait EndpointHandler: fmt::Debug + Send + Sync {
    /// Answers. Method, path and token are checked already.
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>>;
}

/// One request to an endpoint, and what the handler may use for the answer.
#[non_exhaustive]
#[derive(Debug)]
pub struct EndpointCall<'a> {
    /// The request.
    pub request: Request<Bytes>,
    /// Today's secrets of the grant.
    pub secrets: &'a dyn SecretSource,
    /// The clock.
    pub clock: &'a dyn Clock,
}

impl<'a> EndpointCall<'a> {
    /// Puts a call together.
    #[must_use]
    pub fn new(
        request: Request<Bytes>,
        secrets: &'a dyn SecretSource,
        clock: &'a dyn Clock,
    ) -> Self {
        Self { request, secrets, clock }
    }
}

/// Yields the secrets of one grant of one run as they are now.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// Returns stored and minted secrets, and when the minted ones cease to be valid. Waits for a
    /// refresh or mint in flight.
    ///
    /// # Errors
    ///
    /// Those of refresh and mint.
    fn current(&self) -> BoxFuture<'_, Result<(Secrets, Option<OffsetDateTime>)>>;
}

/// The endpoints of one grant: exact path, exact method, a token of their own.
#[derive(Clone, Debug, Default)]
pub struct EndpointRouter(Vec<Route>);

#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
    header: HeaderName,
    token: Placeholder,
    handler: Arc<dyn EndpointHandler>,
}

impl EndpointRouter {
    /// Registers a handler for `GET`. The request must carry `token` as the whole value of
    /// `header`.
    ///
    /// # Errors
    ///
    /// As for [`route`](Self::route).
    pub fn get(
        &mut self,
        path: impl Into<String>,
        header: HeaderName,
        token: Placeholder,
        handler: Arc<dyn EndpointHandler>,
    ) -> Result<()> {
        self.route(Method::GET, path, header, token, handler)
    }

    /// Registers a handler for a method.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the path does not begin with a slash or holds a query, and
    /// [`ErrorKind::Conflict`] when path and method are taken.
    pub fn route(
        &mut self,
        method: Method,
        path: impl Into<String>,
        header: HeaderName,
        token: Placeholder,
        handler: Arc<dyn EndpointHandler>,
    ) -> Result<()> {
        let path = path.into();
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return Err(Error::invalid(format!("{path:?} is not the path of an endpoint")));
        }
        if self.0.iter().any(|route| route.path == path && route.method == method) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the endpoint {method} {path} is registered twice"),
            ));
        }
        self.0.push(Route { method, path, header, token, handler });
        Ok(())
    }

    /// Iterates over method and path of each endpoint.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Method, &str)> {
        self.0.iter().map(|route| (&route.method, route.path.as_str()))
    }

    /// Iterates over the header of each endpoint and the token that it must carry, in the order of
    /// [`endpoints`](Self::endpoints).
    pub fn tokens(&self) -> impl Iterator<Item = (&HeaderName, &Placeholder)> {
        self.0.iter().map(|route| (&route.header, &route.token))
    }

    /// Finds the handler for a request whose URI holds the path that was registered.
    ///
    /// # Errors
    ///
    /// The answer to give instead: 404, 405 with `Allow`, or 401, none of them to be cached.
    #[expect(clippy::result_large_err, reason = "the error is the answer itself")]
    pub fn find<B>(&self, request: &Request<B>) -> Result<&dyn EndpointHandler, Response<Bytes>> {
        let here = || self.0.iter().filter(|route| route.path == request.uri().path());
        let Some(route) = here().find(|route| route.method == request.method()) else {
            let allowed: Vec<_> = here().map(|route| route.method.as_str()).collect();
            return Err(refusal(allowed.is_empty(), &allowed.join(", ")));
        };
        let mut values = request.headers().get_all(&route.header).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if same(value.as_bytes(), route.token.as_str().as_bytes()) => {
                Ok(&*route.handler)
            }
            _ => Err(empty(StatusCode::UNAUTHORIZED)),
        }
    }
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn refusal(unknown: bool, allowed: &str) -> Response<Bytes> {
    if unknown {
        return empty(StatusCode::NOT_FOUND);
    }
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
