//! Doubles on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, Version};
use moat_provider_core::{ErrorKind, HttpClient, Timeout};
use moat_provider_testkit::{
    Canary, LoopbackClient, VendorDouble, block_on, empty, json, requires_bearer, text,
};
use serde_json::json;

const HOST_NAME: &str = "api.example.com";

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// Says what came.
fn parrot(request: &Request<Bytes>) -> Response<Bytes> {
    let told = json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "host": request.headers().get(HOST).map(|host| host.to_str().unwrap()),
        "body": String::from_utf8_lossy(request.body()),
    });
    json(200, &told)
}

fn told(response: &Response<Bytes>) -> serde_json::Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn answers_over_tls_with_a_name_and_a_certificate_of_its_own() {
    let double = VendorDouble::https(parrot, [HOST_NAME, "other.example.com"]);
    let client = double.client();
    for host in [HOST_NAME, "other.example.com"] {
        let mut request = get(&format!("https://{host}/a/b?c=d"));
        *request.method_mut() = Method::PATCH;
        *request.body_mut() = Bytes::from_static(b"hello");
        let response = block_on(client.send(request)).unwrap();
        let told = told(&response);
        assert_eq!(told["uri"], format!("https://{host}/a/b?c=d"));
        assert_eq!(told["host"], host);
        assert_eq!(told["body"], "hello");
        assert_eq!(told["method"], "PATCH");
    }
    assert_eq!(double.requests().len(), 2);
    assert!(double.authority_pem().unwrap().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
}

#[test]
fn answers_without_tls() {
    let double = VendorDouble::http(parrot, [HOST_NAME]);
    let response = block_on(double.client().send(get("https://API.example.com/x"))).unwrap();
    assert_eq!(told(&response)["uri"], "http://API.example.com/x");
    assert!(double.authority_pem().is_none());
}

#[test]
fn the_client_reaches_nothing_but_its_doubles() {
    let one = VendorDouble::https(|_: &Request<Bytes>| text(200, "one"), ["one.example.com"]);
    let two = VendorDouble::http(|_: &Request<Bytes>| text(200, "two"), ["two.example.com"]);
    let client =
        LoopbackClient::new().route("one.example.com", &one).route("two.example.com", &two);
    for (host, body) in [("one", "one"), ("two", "two")] {
        let response = block_on(client.send(get(&format!("https://{host}.example.com/")))).unwrap();
        assert_eq!(response.body(), body);
    }
    let error = block_on(client.send(get("https://three.example.com/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    assert_eq!(
        error.message(),
        "no double stands in the place of three.example.com, only for one.example.com, \
         two.example.com"
    );
    // Not even another port of loopback.
    let address = format!("https://{}/", two.address());
    assert_eq!(block_on(client.send(get(&address))).unwrap_err().kind(), ErrorKind::Offline);
    for url in ["http://one.example.com/", "/", "https://user:word@one.example.com/"] {
        let error = block_on(client.send(get(url))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
}

#[test]
fn the_client_trusts_the_authority_of_its_double_alone() {
    let trusted = VendorDouble::https(parrot, [HOST_NAME]);
    let other = VendorDouble::https(parrot, ["other.example.com"]);
    // The right address with the wrong name: the certificate does not fit.
    let client = LoopbackClient::new().route("third.example.com", &trusted);
    let error = block_on(client.send(get("https://third.example.com/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedAnswer);
    assert!(trusted.requests().is_empty());
    drop(other);
}

#[test]
fn does_not_follow_redirects() {
    let vendor = |request: &Request<Bytes>| {
        assert_eq!(request.uri().path(), "/from");
        let mut response = empty(301);
        let to = HeaderValue::from_static("https://api.example.com/to");
        response.headers_mut().insert(LOCATION, to);
        response
    };
    let double = VendorDouble::https(vendor, [HOST_NAME]);
    let response = block_on(double.client().send(get("https://api.example.com/from"))).unwrap();
    assert_eq!(response.status(), 301);
    assert_eq!(double.requests().len(), 1);
}

#[test]
fn gives_up_after_the_timeout_of_the_request() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let vendor = move |_: &Request<Bytes>| {
        // Until the test has seen the timeout, and drops its end.
        let _ = wait.lock().unwrap().recv();
        empty(200)
    };
    let double = VendorDouble::http(vendor, [HOST_NAME]);
    let mut request = get("https://api.example.com/");
    request.extensions_mut().insert(Timeout(Duration::from_millis(20)));
    let error = block_on(double.client().send(request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(release);
}

#[test]
fn asks_for_the_right_credential() {
    let canary = Canary::new();
    let vendor = requires_bearer(&canary.secret(), parrot);
    let double = VendorDouble::https(vendor, [HOST_NAME]);
    let client = double.client();
    let send = |value: Option<String>| {
        let mut request = get("https://api.example.com/");
        if let Some(value) = value {
            request.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        }
        block_on(client.send(request)).unwrap().status().as_u16()
    };
    assert_eq!(send(None), 401);
    assert_eq!(send(Some("Bearer wrong".to_owned())), 401);
    assert_eq!(send(Some(format!("Basic {}", canary.text()))), 401);
    assert_eq!(send(Some(format!("Bearer {}", canary.text()))), 200);
}

/// A connection of a client that speaks as it likes.
struct Raw(TcpStream);

impl Raw {
    fn to(double: &VendorDouble) -> Self {
        let stream = TcpStream::connect(double.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with(end) && self.0.read(&mut byte).unwrap() == 1 {
            text.push(char::from(byte[0]));
        }
        text
    }

    fn read_to_end(&mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }
}

#[test]
fn keeps_connections_alive_and_reads_bodies_of_either_framing() {
    let vendor = |request: &Request<Bytes>| text(200, request.body().clone());
    let double = VendorDouble::http(vendor, [HOST_NAME]);
    let mut raw = Raw::to(&double);
    // Two requests at once, and the second in pieces.
    raw.write(
        "POST /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\r\nfirstPOST /b HT",
    );
    assert!(raw.read_until("first").contains("content-length: 5\r\n"));
    raw.write("TP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nsec");
    raw.write("\r\n3\r\nond\r\n0\r\nTrailer: yes\r\n\r\n");
    assert!(raw.read_until("second").starts_with("HTTP/1.1 200 OK\r\n"));
    raw.write("GET /c HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n");
    assert!(raw.read_to_end().contains("connection: close\r\n"));
    let paths: Vec<_> = double.requests().iter().map(|r| r.uri().path().to_owned()).collect();
    assert_eq!(paths, ["/a", "/b", "/c"]);
}

#[test]
fn says_go_on_before_it_reads_a_body() {
    let vendor = |request: &Request<Bytes>| text(200, request.body().clone());
    let double = VendorDouble::http(vendor, [HOST_NAME]);
    let mut raw = Raw::to(&double);
    raw.write("PUT / HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\n");
    raw.write("Content-Length: 4\r\n\r\n");
    assert_eq!(raw.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    raw.write("body");
    assert!(raw.read_until("body").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn answers_head_and_empty_statuses_without_a_body() {
    let vendor = |request: &Request<Bytes>| match request.uri().path() {
        "/204" => text(204, "not sent"),
        _ => text(200, "not sent to HEAD"),
    };
    let double = VendorDouble::http(vendor, [HOST_NAME]);
    let mut raw = Raw::to(&double);
    raw.write("HEAD / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert!(raw.read_until("\r\n\r\n").contains("content-length: 16\r\n"));
    raw.write("GET /204 HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let head = raw.read_until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 204 No Content\r\n") && !head.contains("content-length"));
    raw.write("GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n");
    assert!(raw.read_to_end().ends_with("not sent to HEAD"));
    assert_eq!(double.requests()[2].version(), Version::HTTP_10);
    let head = Request::head("https://api.example.com/").body(Bytes::new()).unwrap();
    let response = block_on(double.client().send(head)).unwrap();
    assert!(response.body().is_empty());
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
}

#[test]
fn fails_the_test_when_what_comes_is_no_request() {
    for nonsense in [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        "GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\
         \r\nab",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999\r\n\r\n",
    ] {
        let double = VendorDouble::http(parrot, [HOST_NAME]);
        let mut raw = Raw::to(&double);
        raw.write(nonsense);
        // The double closes the connection.
        assert_eq!(raw.read_to_end(), "", "{nonsense}");
        let verified = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(double)));
        let text = *verified.unwrap_err().downcast::<String>().unwrap();
        assert!(text.starts_with("the vendor's double failed: what came is not a req"), "{text}");
    }
}

#[test]
#[should_panic(expected = "the vendor's double failed: this vendor expects nothing")]
fn fails_the_test_when_the_vendor_panics() {
    let vendor = |_: &Request<Bytes>| -> Response<Bytes> { panic!("this vendor expects nothing") };
    let double = VendorDouble::https(vendor, [HOST_NAME]);
    let response = block_on(double.client().send(get("https://api.example.com/"))).unwrap();
    assert_eq!(response.status(), 500);
    drop(double);
}

#[test]
fn stops_when_it_is_dropped() {
    let double = VendorDouble::http(parrot, [HOST_NAME]);
    let client = double.client();
    let mut raw = Raw::to(&double);
    raw.write("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    raw.read_until("}");
    drop(double);
    assert_eq!(raw.read_to_end(), "");
    let error = block_on(client.send(get("https://api.example.com/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
}
