//! Requests that fail, and what their errors say.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use moat_host::HttpsClient;
use moat_provider_core::{Error, ErrorKind, HttpClient, Timeout};
use moat_provider_testkit::{Canary, VendorDouble, empty, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::support::{HOST, TlsServer, client_of, text_of, to, trusting, url_canary};

/// Sends a request that holds canaries everywhere, and expects an error that shows none of them.
async fn refused(client: &HttpsClient, base: &str, kind: ErrorKind) -> Error {
    let (path, query) = (url_canary(), url_canary());
    let (header, body) = (Canary::with_length("", 64), Canary::with_length("", 64));
    let request = Request::post(format!("{base}/{}?q={}", path.text(), query.text()))
        .header(AUTHORIZATION, format!("Bearer {}", header.text()))
        .extension(Timeout(Duration::from_secs(20)))
        .body(Bytes::from(body.text().to_owned()));
    let error = client.send(request.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    for canary in [path, query, header, body] {
        assert_eq!(canary.find_in_str(&text_of(&error)), None, "{error:?}");
    }
    error
}

/// What a server sends that reads a request first.
async fn send_and_close(mut tls: TlsStream<TcpStream>, answer: Vec<u8>) {
    let mut head = [0; 16 * 1024];
    let _ = tls.read(&mut head).await;
    // The client may go before everything was sent.
    let _ = tls.write_all(&answer).await;
    let _ = tls.shutdown().await;
}

async fn answer_of(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    let server = TlsServer::start(&[], move |tls| send_and_close(tls, answer.clone())).await;
    let url = format!("https://{HOST}");
    refused(&server.client(), &url, ErrorKind::UnexpectedAnswer).await.to_string()
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let too_long = format!("{HOST} answers with more than 1 MiB");
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", (1 << 20) + 1);
    assert_eq!(answer_of(announced).await, too_long);

    let endless = TlsServer::start(&[], |mut tls| async move {
        let mut head = [0; 4096];
        let _ = tls.read(&mut head).await;
        tls.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let mut chunk = b"10000\r\n".to_vec();
        chunk.extend([b'x'; 0x10000]);
        chunk.extend(b"\r\n");
        while tls.write_all(&chunk).await.is_ok() {}
    })
    .await;
    let url = format!("https://{HOST}");
    let error = refused(&endless.client(), &url, ErrorKind::UnexpectedAnswer).await;
    assert_eq!(error.message(), too_long);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let broken = format!("{HOST} broke off its answer");
    assert_eq!(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await, broken);
    assert_eq!(
        answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").await,
        broken
    );
    assert_eq!(answer_of("HTTP/1.1 200 OK\r\nServer: x\r\n").await, broken);
    assert_eq!(answer_of("").await, broken);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_not_shown() {
    let canary = Canary::with_length("", 64);
    let answer = format!("{} is nonsense\r\n\r\n", canary.text());
    assert_eq!(answer_of(answer).await, format!("{HOST} does not answer in HTTP"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_silent_is_given_up() {
    let server = TlsServer::start(&[], |mut tls| async move {
        let mut head = [0; 4096];
        while tls.read(&mut head).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let client = server.client();
    for (limit, text) in [(None, "30"), (Some(Duration::from_millis(1500)), "1.5")] {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("https://{HOST}/").parse().unwrap();
        limit.map(|limit| request.extensions_mut().insert(Timeout(limit)));
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.message(), format!("{HOST} did not answer within {text} seconds"));
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_names_the_flag() {
    let double = VendorDouble::https(|_: &Request<Bytes>| empty(200), [HOST]);
    let other = VendorDouble::https(|_: &Request<Bytes>| empty(200), ["other.example"]);
    let client = trusting(&other.authority_pem().unwrap()).connect_to([to(double.address())]);
    let url = format!("https://{HOST}");
    let error = refused(&client.build().unwrap(), &url, ErrorKind::Offline).await;
    assert_eq!(
        error.message(),
        format!(
            "the certificate of {HOST} comes from an authority that this machine does not trust"
        )
    );
    assert!(error.hint().unwrap().contains("--upstream-ca FILE"));
    assert!(double.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let double = VendorDouble::https(|_: &Request<Bytes>| empty(200), ["other.example"]);
    let url = format!("https://{HOST}");
    let error = refused(&client_of(&double), &url, ErrorKind::Offline).await;
    assert_eq!(error.message(), format!("the certificate of {HOST} is for another host"));
    assert!(double.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request() {
    let https = VendorDouble::https(|_: &Request<Bytes>| empty(200), [HOST]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut came = [0; 4096];
        let len = tcp.read(&mut came).await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        came[..len].to_vec()
    });
    let client = trusting(&https.authority_pem().unwrap()).connect_to([to(address)]);
    let url = format!("https://{HOST}");
    let error = refused(&client.build().unwrap(), &url, ErrorKind::UnexpectedAnswer).await;
    assert_eq!(error.message(), format!("{HOST} does not speak TLS"));
    // A TLS handshake record.
    assert_eq!(server.await.unwrap()[0], 0x16);
}

#[tokio::test]
async fn a_host_that_refuses_the_connection_is_offline() {
    let double = VendorDouble::https(|_: &Request<Bytes>| empty(200), [HOST]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = trusting(&double.authority_pem().unwrap()).connect_to([to(free)]);
    let url = format!("https://{HOST}");
    let error = refused(&client.build().unwrap(), &url, ErrorKind::Offline).await;
    assert!(error.message().ends_with("was not reached: the connection was refused"), "{error}");
}

#[tokio::test]
async fn only_https_urls_without_a_user_are_sent() {
    let double = VendorDouble::https(|_: &Request<Bytes>| text(200, "no"), [HOST]);
    let client = client_of(&double);
    let user = url_canary();
    let with_user = format!("https://{}@{HOST}", user.text());
    let odd_port = format!("https://{HOST}:x");
    for base in [&*format!("http://{HOST}"), "", &with_user, &odd_port, "https://:443"] {
        let error = refused(&client, base, ErrorKind::InvalidInput).await;
        assert_eq!(user.find_in_str(&text_of(&error)), None, "{error:?}");
    }
    assert!(double.requests().is_empty());
}
