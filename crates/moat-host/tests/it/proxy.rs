//! Ways around: a corporate proxy, and connections that go elsewhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use moat_host::{CorporateProxy, HttpsClient};
use moat_provider_core::{Error, ErrorKind, HttpClient};
use moat_provider_testkit::{Canary, FakeEnvironment, VendorDouble, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{HOST, get, text_of, to, trusting, url_canary};

/// A proxy that knows one host, and what it was asked.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts a proxy that gives this answer to CONNECT; behind a good one lies `host`.
    async fn start(answer: &'static str, host: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(tcp.read_u8().await.unwrap());
                }
                seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                for piece in answer.as_bytes().chunks(7) {
                    tcp.write_all(piece).await.unwrap();
                }
                if answer.contains(" 200 ") {
                    let mut host = TcpStream::connect(host).await.unwrap();
                    let _ = copy_bidirectional(&mut tcp, &mut host).await;
                }
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn client(&self, double: &VendorDouble, user: &str) -> HttpsClient {
        let environment = FakeEnvironment::new()
            .text("HTTPS_PROXY", &format!("http://{user}127.0.0.1:{}", self.address.port()));
        let builder = trusting(&double.authority_pem().unwrap());
        builder.proxy_from(&environment).unwrap().build().unwrap()
    }
}

fn double() -> VendorDouble {
    VendorDouble::https(|_: &Request<Bytes>| text(200, "through"), [HOST])
}

#[tokio::test]
async fn a_host_is_reached_through_the_proxy_with_user_and_password() {
    let double = double();
    let answer = "HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n";
    let proxy = Proxy::start(answer, double.address()).await;
    let password = url_canary();
    let client = proxy.client(&double, &format!("us%40er:{}@", password.text()));
    assert_eq!(client.send(get("/")).await.unwrap().body(), "through");

    let heads = proxy.heads();
    assert!(heads[0].starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n")));
    assert_eq!(password.find_in_str(&heads[0]), Some(moat_provider_testkit::Encoding::Base64));
    assert!(!heads[0].to_ascii_lowercase().contains("user-agent"), "{heads:?}");
    assert_eq!(password.find_in_str(&format!("{client:?}")), None);
    let requests = double.requests();
    assert!(requests[0].headers().get("proxy-authorization").is_none());
}

#[tokio::test]
async fn a_proxy_that_refuses_says_so_and_shows_no_password() {
    let double = double();
    for (answer, user, what) in [
        ("HTTP/1.1 407 No\r\n\r\n", "", "asks for a user and password"),
        ("HTTP/1.1 407 No\r\n\r\n", "u:PASSWORD@", "does not accept the user and password"),
        (
            "HTTP/1.1 403 No\r\n\r\n",
            "u:PASSWORD@",
            "refuses a tunnel to api.vendor.example (status 403)",
        ),
        ("SSH-2.0-x\r\n\r\n", "u:PASSWORD@", "does not answer as an HTTP proxy does"),
        ("HTTP/1.1 2", "u:PASSWORD@", "hung up"),
    ] {
        let proxy = Proxy::start(answer, double.address()).await;
        let password = url_canary();
        let client = proxy.client(&double, &user.replace("PASSWORD", password.text()));
        let error = client.send(get("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        assert!(
            error.message().starts_with(&format!("the proxy in HTTPS_PROXY {what}")),
            "{error}"
        );
        assert_eq!(password.find_in_str(&text_of(&error)), None);
    }
    assert!(double.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_by_its_variable() {
    let double = double();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let password = Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 40);
    let url = format!("http://u:{}@127.0.0.1:{}", password.text(), free.port());
    let proxy = CorporateProxy::new(&url, "", "--proxy").unwrap();
    assert_eq!(password.find_in_str(&format!("{proxy:?}")), None);
    let builder = trusting(&double.authority_pem().unwrap()).proxy(Some(proxy));
    assert_eq!(password.find_in_str(&format!("{builder:?}")), None);
    let error: Error = builder.build().unwrap().send(get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    assert!(error.message().starts_with("the proxy in --proxy does not work"), "{error}");
    assert!(error.hint().unwrap().contains("NO_PROXY"));
    assert_eq!(password.find_in_str(&text_of(&error)), None);
}

#[tokio::test]
async fn an_answer_of_the_proxy_without_end_is_not_read_on() {
    let double = double();
    let endless: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000)).into());
    let proxy = Proxy::start(endless, double.address()).await;
    let error = proxy.client(&double, "").send(get("/")).await.unwrap_err();
    assert!(error.message().ends_with("does not answer as an HTTP proxy does"), "{error}");
}

#[tokio::test]
async fn connections_go_where_the_person_says_and_around_the_proxy() {
    let double = double();
    let nowhere = FakeEnvironment::new().text("ALL_PROXY", "http://127.0.0.1:1");
    let builder = trusting(&double.authority_pem().unwrap()).connect_to([to(double.address())]);
    let client = builder.proxy_from(&nowhere).unwrap().build().unwrap();
    assert_eq!(client.send(get("/")).await.unwrap().body(), "through");

    // Any host, and another port.
    let rule = format!(":8443:127.0.0.1:{}", double.address().port()).parse().unwrap();
    let client = trusting(&double.authority_pem().unwrap()).connect_to([rule]).build().unwrap();
    let request = Request::get(format!("https://{HOST}:8443/")).body(Bytes::new()).unwrap();
    assert_eq!(client.send(request).await.unwrap().body(), "through");
    assert_eq!(double.requests()[1].uri().authority().unwrap().as_str(), format!("{HOST}:8443"));
}
