//! Requests to a vendor that works.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{Method, Request, StatusCode, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use moat_provider_core::HttpClient;
use moat_provider_testkit::{Canary, VendorDouble, empty, text};

use crate::support::{HOST, TlsServer, client_of, get, url_canary};

#[tokio::test]
async fn every_status_is_an_answer() {
    let double = VendorDouble::https(
        |request: &Request<Bytes>| {
            let status = request.uri().path()[1..].parse().unwrap();
            if status == 204 { empty(204) } else { text(status, format!("body of {status}")) }
        },
        [HOST],
    );
    let client = client_of(&double);
    for status in [200, 201, 204, 400, 401, 403, 404, 407, 421, 429, 500, 503] {
        let response = client.send(get(&format!("/{status}"))).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let body = if status == 204 { String::new() } else { format!("body of {status}") };
        assert_eq!(response.body(), &body);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let double = VendorDouble::https(
        |_: &Request<Bytes>| {
            let mut response = empty(302);
            response.headers_mut().insert(LOCATION, "/elsewhere".parse().unwrap());
            response
        },
        [HOST],
    );
    let response = client_of(&double).send(get("/first")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()[LOCATION], "/elsewhere");
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let double = VendorDouble::https(|_: &Request<Bytes>| empty(200), [HOST]);
    let (token, query) = (Canary::with_length("tok_", 64), url_canary());
    let client = client_of(&double);
    let request = Request::post(format!("https://{HOST}/v1/user?q={}", query.text()))
        .header(AUTHORIZATION, format!("Bearer {}", token.text()))
        .header(CONTENT_TYPE, "text/plain")
        .header(USER_AGENT, "provider/1")
        .body(Bytes::from_static(b"hello"));
    client.send(request.unwrap()).await.unwrap();
    client.send(get("/plain")).await.unwrap();

    let requests = double.requests();
    let came = &requests[0];
    assert_eq!(came.method(), Method::POST);
    assert_eq!(came.uri().path(), "/v1/user");
    assert_eq!(came.uri().query(), Some(&*format!("q={}", query.text())));
    assert_eq!(came.uri().host(), Some(HOST));
    assert_eq!(came.headers()[AUTHORIZATION], format!("Bearer {}", token.text()));
    assert_eq!(came.headers()[USER_AGENT], "provider/1");
    assert_eq!(came.body(), "hello");
    let agent = requests[1].headers()[USER_AGENT].to_str().unwrap();
    assert_eq!(agent, format!("moat/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(token.find_in_str(&format!("{client:?}")), None);
}

#[tokio::test]
async fn http_2_is_spoken_where_the_host_offers_it() {
    let server = TlsServer::start(&[b"h2", b"http/1.1"], |tls| async {
        let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
            let seen = format!("{:?} {}", request.version(), request.uri());
            Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from(seen))))
        });
        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = served.serve_connection(TokioIo::new(tls), service).await;
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        let response = client.send(get("/x")).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.body(), &format!("HTTP/2.0 https://{HOST}/x"));
    }
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read() {
    let body = vec![b'x'; 1024 * 1024];
    let double = VendorDouble::https(move |_: &Request<Bytes>| text(200, body.clone()), [HOST]);
    let response = client_of(&double).send(get("/")).await.unwrap();
    assert_eq!(response.body().len(), 1024 * 1024);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let double = VendorDouble::https(|_: &Request<Bytes>| text(200, vec![b'x'; 2 << 20]), [HOST]);
    let mut request = get("/");
    *request.method_mut() = Method::HEAD;
    let response = client_of(&double).send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.body().is_empty());
}
