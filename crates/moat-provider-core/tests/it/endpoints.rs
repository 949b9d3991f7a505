//! The router of endpoints.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL};
use http::{Method, Request, Response, StatusCode};
use moat_provider_core::{BoxFuture, EndpointCall, EndpointHandler, EndpointRouter, ErrorKind};

use crate::support::placeholder;

#[derive(Debug)]
struct Hello;

impl EndpointHandler for Hello {
    fn call<'a>(&'a self, _: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async { Response::new("hello".into()) })
    }
}

fn router() -> EndpointRouter {
    let mut router = EndpointRouter::default();
    router.get("/credentials", AUTHORIZATION, placeholder("aws"), Arc::new(Hello)).unwrap();
    router
}

fn status(method: Method, uri: &str, tokens: &[&str]) -> StatusCode {
    let mut request = Request::builder().method(method).uri(uri);
    for token in tokens {
        request = request.header(AUTHORIZATION, *token);
    }
    match router().find(&request.body(()).unwrap()) {
        Ok(_) => StatusCode::OK,
        Err(response) => {
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                assert_eq!(response.headers()[ALLOW], "GET");
            }
            response.status()
        }
    }
}

#[test]
fn only_the_exact_request_is_let_through() {
    let token = placeholder("aws");
    let token = token.as_str();
    let longer = format!("{token}0");
    let scheme = format!("Bearer {token}");
    let other = placeholder("github");
    let get = Method::GET;
    assert_eq!(status(get.clone(), "/credentials", &[token]), StatusCode::OK);
    assert_eq!(status(get.clone(), "/credentials?a=b", &[token]), StatusCode::OK);
    for bad in [&[] as &[&str], &[""], &[&longer], &[&scheme], &[other.as_str()], &[token, token]] {
        assert_eq!(status(get.clone(), "/credentials", bad), StatusCode::UNAUTHORIZED, "{bad:?}");
    }
    for path in ["/", "/credentials/", "/Credentials", "/credentials/x", "//credentials"] {
        assert_eq!(status(get.clone(), path, &[token]), StatusCode::NOT_FOUND, "{path}");
    }
    for method in [Method::POST, Method::HEAD, Method::OPTIONS] {
        let status = status(method, "/credentials", &[token]);
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[test]
fn a_route_is_registered_once() {
    let mut router = router();
    let again = router.get("/credentials", AUTHORIZATION, placeholder("aws"), Arc::new(Hello));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    for bad in ["", "x", "/x?y", "/x#y"] {
        let error = router.get(bad, AUTHORIZATION, placeholder("aws"), Arc::new(Hello));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
    let post = router.route(
        Method::POST,
        "/credentials",
        AUTHORIZATION,
        placeholder("aws"),
        Arc::new(Hello),
    );
    post.unwrap();
    assert_eq!(router.endpoints().count(), 2);
    let own = placeholder("aws");
    assert!(router.tokens().all(|(header, token)| *header == AUTHORIZATION && *token == own));
    assert_eq!(router.tokens().count(), 2);
}
