//! What goes over the wire: framing that has one reading, fields of one hop, names that agree.

use http::StatusCode;
use http_body_util::BodyExt;
use moat_proxy::BLOCKED;
use moat_proxy::plane::seam::{Channel, ForwardPlan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Http, basic, empty, head, rest};
use crate::support::origin::{Origin, script, text};
use crate::support::{Rules, World, forward, soon};

/// Sends bytes in a tunnel to a host that answers each request with what it was, and returns all
/// that came back, and how many requests the host saw.
async fn exchange(bytes: &str) -> (String, usize) {
    let world = World::new(Rules::default()).await;
    let origin =
        Origin::tls(&world.origins, &world.net, "a.test", &["http/1.1"], |request| async {
            let (head, body) = request.into_parts();
            let framing = ["content-length", "transfer-encoding"]
                .map(|name| head.headers.get_all(name).iter().count());
            let body = body.collect().await.unwrap().to_bytes();
            text(format!("<{} {} {framing:?} {body:?}>", head.method, head.uri))
        })
        .await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    if bytes.ends_with("abc\r\n") {
        // Cut off in the middle of a body.
        stream.shutdown().await.unwrap();
    }
    let answer = soon(rest(&mut stream)).await;
    (answer, origin.requests())
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n{body}");
    let refused = [
        post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        post("Content-Length: 3, 4\r\n", "abcd"),
        post("Content-Length: +3\r\n", "abc"),
        post("Content-Length: 0x3\r\n", "abc"),
        post("Content-Length: -1\r\n", ""),
        post("Content-Length : 3\r\n", "abc"),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("X-Folded: a\r\n b\r\nContent-Length: 0\r\n", ""),
        post("X-Nul: a\0b\r\nContent-Length: 0\r\n", ""),
        post("X-Cr: a\rb\r\nContent-Length: 0\r\n", ""),
        post("Bad Name: x\r\nContent-Length: 0\r\n", ""),
        "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for request in refused {
        let (answer, requests) = exchange(&request).await;
        // To the preface of HTTP/2 there is no answer that its sender would understand.
        let refused = answer.starts_with("HTTP/1.1 400")
            || answer.starts_with("HTTP/1.0 400")
            || (request.starts_with("PRI") && answer.is_empty());
        assert!(refused, "{request:?}: {answer}");
        assert_eq!(requests, 0, "{request:?}");
    }
}

#[tokio::test]
async fn two_lengths_are_sent_on_as_one() {
    // RFC 9112, section 6.3: the transfer coding wins, the length goes, the connection closes, so
    // that what follows is not taken for a request.
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    for order in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", smuggled.len()),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{order}\r\n{smuggled}");
        let (answer, requests) = exchange(&request).await;
        assert!(answer.contains("<POST / [0, 1] b\"\">"), "{answer}");
        assert!(!answer.contains("smuggled"), "{answer}");
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn broken_chunks_never_become_a_whole_request() {
    let post = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        )
    };
    let bodies = [
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabcX0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3;x=\ny\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n",
    ];
    for body in bodies {
        let (answer, _) = exchange(&post(body)).await;
        assert!(!answer.contains("<POST"), "{body:?}: {answer}");
    }
    let (answer, _) = exchange(&post("3;ext=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")).await;
    assert!(answer.contains("<POST / [0, 1] b\"abc\">"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_431() {
    let long = "a".repeat(70_000);
    let (answer, requests) =
        exchange(&format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let fits = "a".repeat(60_000);
    let (answer, more) = exchange(&format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX: {fits}\r\n\r\n"
    ))
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!((requests, more), (0, 1));
}

#[tokio::test]
async fn the_wire_bytes_of_a_request_stay_as_they_are() {
    let rules = Rules::default().on_request(|head, place| {
        assert_eq!(place.channel, Channel::Intercepted);
        assert_eq!(place.authority.unwrap().to_string(), "a.test:443");
        assert_eq!(place.sni, Some("a.test"));
        // The engine sees what the client wrote, not what goes out.
        let hosts: Vec<_> = head.headers.get_all("host").iter().collect();
        assert_eq!(hosts, ["A.Test.:443"]);
        forward(ForwardPlan::default())
    });
    let world = World::new(rules).await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(head(&mut stream).await).unwrap();
            let answer = "HTTP/1.1 203 Odd Reason\r\nX-CamelCase: 1\r\nx-lower: 2\r\nSet-Cookie: a\r\n\
                          Set-Cookie: b\r\nAlt-Svc: h3=\":443\"\r\nKeep-Alive: timeout=5\r\n\
                          Connection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            rest(&mut stream).await;
        }
    })
    .await;
    let mut stream = world.tls("a.test", &["http/1.1"]).await;
    let request = "GET /a%2Fb/../c//d?x=%zz;y&&Z=1 HTTP/1.1\r\nHost: A.Test.:443\r\nX-ApI-Key: k\r\n\
                   aCCept: */*\r\nCookie: a=1\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\n\
                   Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = soon(head(&mut stream)).await;
    let sent = soon(requests.recv()).await.unwrap();
    assert_eq!(
        sent,
        "GET /a%2Fb/../c//d?x=%zz;y&&Z=1 HTTP/1.1\r\nHost: a.test\r\nX-ApI-Key: k\r\n\
         aCCept: */*\r\nCookie: a=1\r\nX-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\n\r\n"
    );
    assert_eq!(
        answer,
        "HTTP/1.1 203 Odd Reason\r\nX-CamelCase: 1\r\nx-lower: 2\r\nSet-Cookie: a\r\n\
         Set-Cookie: b\r\nContent-Length: 0\r\n\r\n"
    );
}

#[tokio::test]
async fn a_client_that_speaks_http_2_is_translated() {
    let world = World::new(Rules::default()).await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    script(&world.origins, &world.net, "a.test", &["http/1.1"], move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(head(&mut stream).await).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let mut client = world.client("a.test", Http::Two).await;
    let request = client.request("GET", "/p?q").header("cookie", "a=1").header("cookie", "b=2");
    let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("connection"));
    let sent = soon(requests.recv()).await.unwrap();
    assert_eq!(sent, "GET /p?q HTTP/1.1\r\ncookie: a=1; b=2\r\nhost: a.test\r\n\r\n");
}

#[tokio::test]
async fn a_handshake_for_another_host_is_421() {
    for alpn in ["http/1.1", "h2"] {
        let world = World::new(Rules::default()).await;
        let connector = {
            // The leaf is for the host of the tunnel, so an honest client stops at the handshake.
            assert!(world.tls_as("a.test", "b.test", &[alpn]).await.is_err());
            insecure(alpn)
        };
        let (socket, _) = world.tunnel("a.test:443").await;
        let stream = connector.connect("b.test".try_into().unwrap(), socket).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let request = http::Request::builder().uri("https://a.test/").header("host", "a.test");
        let request = request.body(empty()).unwrap();
        let answer = if alpn == "h2" {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            soon(sender.send_request(request)).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            soon(sender.send_request(request)).await.unwrap()
        };
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(answer.headers()[BLOCKED], "sni-mismatch");
        assert_eq!(world.net.dials(), 0);
    }
}

/// A client that accepts any certificate.
fn insecure(alpn: &str) -> tokio_rustls::TlsConnector {
    use rustls::client::danger::*;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    #[derive(Debug)]
    struct Any;
    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
    let provider = crate::support::origin::provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(Any))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    std::sync::Arc::new(config).into()
}

#[tokio::test]
async fn trace_and_connect_are_refused_in_a_tunnel() {
    for (method, target) in [("TRACE", "/"), ("CONNECT", "b.test:443")] {
        let (answer, requests) = exchange(&format!(
            "{method} {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
        ))
        .await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        assert_eq!(requests, 0);
    }
    let world = World::new(Rules::default()).await;
    let mut client = world.client("a.test", Http::Two).await;
    let request = http::Request::builder().method("CONNECT").uri("b.test:443");
    let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn options_of_the_whole_server_stay_so() {
    for origin in Http::BOTH {
        let world = World::new(Rules::default()).await;
        let alpn = [origin.alpn()];
        Origin::tls(&world.origins, &world.net, "a.test", &alpn, |request| async move {
            text(format!("{} {}", request.method(), request.uri().path()))
        })
        .await;
        let mut stream = world.tls("a.test", &["http/1.1"]).await;
        let request = b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let answer = soon(rest(&mut stream)).await;
        assert!(answer.ends_with("OPTIONS *"), "{origin:?}: {answer}");
    }
}

#[tokio::test]
async fn plain_http_goes_through_in_absolute_form() {
    let rules = Rules::default().on_request(|head, place| {
        assert_eq!(place.channel, Channel::Plain);
        assert_eq!(place.authority.unwrap().to_string(), "a.test:80");
        assert!(!head.headers.contains_key("proxy-authorization"));
        forward(ForwardPlan::default())
    });
    let mut world = World::new(rules).await;
    let origin = Origin::plain(&world.net, "a.test", |request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        text(format!("{} {host}", request.uri()))
    })
    .await;
    let mut socket = world.socket().await;
    for _ in 0..2 {
        let request = format!(
            "GET http://A.test/p?q=1 HTTP/1.1\r\nHost: ignored.test\r\nProxy-Authorization: {}\r\n\r\n",
            basic()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        assert!(soon(head(&mut socket)).await.starts_with("HTTP/1.1 200"));
        let mut body = [0; 13];
        soon(socket.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, b"/p?q=1 a.test");
    }
    assert_eq!((origin.connections(), origin.requests()), (1, 2));
    assert_eq!(world.record(|_| true).await.url, "http://a.test/p");
    for target in ["https://a.test/", "ftp://a.test/", "http://u:p@a.test/", "http://127.1/"] {
        let mut socket = world.socket().await;
        let auth = basic();
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: a\r\nProxy-Authorization: {auth}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = soon(head(&mut socket)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
    }
    assert_eq!(origin.requests(), 2);
}
