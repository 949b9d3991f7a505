//! nginx as a host: files, ranges, codings, uploads, client certificates, connections that end.

use std::io::Read;
use std::net::TcpListener;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, RANGE};
use http_body_util::BodyExt;

use crate::container::{Container, VENDOR};
use crate::double::{BLOB, blob, hash};
use crate::program::{Program, Server};
use crate::support::client::{Http, empty, full, whole};
use crate::support::soon;

/// The host that asks for the proxy's client certificate.
const MUTUAL: &str = "mutual.test";

/// The line of nginx's log after which its ports are open.
const READY: &str = "using the \"epoll\" event method";

/// Starts nginx for three hosts; it speaks HTTP/2 where `http2` says so.
async fn nginx(container: &Container, http2: &str) -> Server {
    let root = container.outside.0.display().to_string();
    std::fs::create_dir_all(format!("{root}/files/put")).unwrap();
    std::fs::write(format!("{root}/files/blob"), blob()).unwrap();
    std::fs::write(format!("{root}/ca.pem"), container.world.origins.pem()).unwrap();
    let mut servers = String::new();
    for (host, verify) in [(VENDOR, "off"), (MUTUAL, "on"), ("stranger.test", "on")] {
        let (certificate, key) = container.certificate(host);
        // A port that was free a moment ago: nginx cannot say which one it was given.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        container.world.net.add(host, 443, free);
        servers += &format!(
            "server {{ listen {free} ssl {http2}; server_name {host}; include host.conf;
             ssl_certificate {certificate}; ssl_certificate_key {key};
             ssl_client_certificate {root}/ca.pem; ssl_verify_client {verify}; }}\n"
        );
    }
    let token = container.token.text();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {root}/{name};"))
        .join(" ");
    let host = format!(
        "root {root}/files; keepalive_requests 5; client_max_body_size 64m;
         if ($http_authorization != \"Bearer {token}\") {{ return 401; }}
         location /blob {{ etag on; }}
         location /packed {{ alias {root}/files/blob; gzip on; gzip_types *; gzip_min_length 0; }}
         location /put/ {{ dav_methods PUT; }}
         location /small {{ client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }}
         location /trailer {{ add_trailer x-last yes always; alias {root}/files/blob; }}
         location /who {{ return 200 \"$ssl_client_s_dn\"; }}
         location /you {{ add_header x-echo $http_authorization; return 200 \"sent $http_authorization\"; }}"
    );
    let main = format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr notice;
         events {{ use epoll; }} http {{ access_log off; {paths} {servers} }}"
    );
    std::fs::write(format!("{root}/host.conf"), host).unwrap();
    std::fs::write(format!("{root}/nginx.conf"), main).unwrap();
    let program = Program::new("nginx").args(["-p", &root, "-c", "nginx.conf", "-e", "stderr"]);
    program.serve(READY).await
}

/// A container, and nginx with one version of HTTP; both are kept as long as the test needs them.
async fn started(origin: Http) -> (Container, Server) {
    let container = Container::granted(
        &[VENDOR, MUTUAL, "stranger.test"],
        moat_provider_core::HeaderTemplate::Bearer,
    )
    .await;
    let server = nginx(&container, if origin == Http::Two { "http2" } else { "" }).await;
    (container, server)
}

/// The four pairs of versions, towards the client and towards the host.
fn pairs() -> impl Iterator<Item = (Http, Http)> {
    Http::BOTH.into_iter().flat_map(|origin| Http::BOTH.map(|client| (origin, client)))
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn files_ranges_and_conditions() {
    for (origin, client) in pairs() {
        let (mut container, _nginx) = started(origin).await;
        let mut client = container.world.client(VENDOR, client).await;
        let answer = soon(client.get("/blob")).await;
        assert_eq!((answer.status(), hash(answer.body())), (StatusCode::OK, hash(&blob())));
        assert_eq!(answer.headers()[CONTENT_LENGTH], BLOB.to_string());
        let protocol = container.world.record(|record| record.status.is_some()).await;
        assert_eq!(protocol.upstream_protocol, Some(origin.alpn()));
        let tag = answer.headers()["etag"].clone();
        let cases = [
            ("range", "bytes=5-9", StatusCode::PARTIAL_CONTENT, Some(blob().slice(5..10))),
            ("range", "bytes=-3", StatusCode::PARTIAL_CONTENT, Some(blob().slice(BLOB - 3..))),
            ("range", "bytes=9999999-", StatusCode::RANGE_NOT_SATISFIABLE, None),
            ("if-none-match", tag.to_str().unwrap(), StatusCode::NOT_MODIFIED, Some("".into())),
        ];
        for (name, value, status, body) in cases {
            let request = client.request("GET", "/blob").header(name, value);
            let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
            let answer = whole(answer).await;
            assert_eq!(answer.status(), status, "{value}");
            assert!(body.is_none_or(|body| body == *answer.body()), "{value}");
        }
        let request = client.request("GET", "/blob").header(RANGE, "bytes=0-4,10-14");
        let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
        let parts = whole(answer).await;
        assert_eq!(
            parts.headers()["content-type"].to_str().unwrap().split(';').next(),
            Some("multipart/byteranges")
        );
        assert!(parts.body().windows(5).any(|five| five == &blob()[10..15]));
        let head = client.request("HEAD", "/blob").body(empty()).unwrap();
        let answer = soon(client.send(head)).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_LENGTH], BLOB.to_string());
        assert_eq!(whole(answer).await.body(), "");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn a_compressed_answer_of_unknown_length_arrives_as_it_was_sent() {
    for (origin, client) in pairs() {
        let (container, _nginx) = started(origin).await;
        let mut client = container.world.client(VENDOR, client).await;
        let request = client.request("GET", "/packed").header(ACCEPT_ENCODING, "gzip, deflate, br");
        let answer = soon(client.send(request.body(empty()).unwrap())).await.unwrap();
        let answer = whole(answer).await;
        assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
        assert!(!answer.headers().contains_key(CONTENT_LENGTH));
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&answer.body()[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(hash(&plain), hash(&blob()));
    }
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn uploads_arrive_and_one_that_is_too_long_is_answered_at_once() {
    for (origin, client) in pairs() {
        let (container, _nginx) = started(origin).await;
        let mut sender = container.world.client(VENDOR, client).await;
        let many = blob().repeat(20);
        let request = sender.request("PUT", "/put/file").header("expect", "100-continue");
        let request = request.body(full(many.clone())).unwrap();
        let answer = soon(sender.send(request)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let arrived = std::fs::read(container.outside.0.join("files/put/file")).unwrap();
        assert!(arrived == many, "{} bytes", arrived.len());
        let answer = soon(sender.post("/small", many)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        // What follows goes well, on this connection or on another.
        let mut sender = container.world.client(VENDOR, client).await;
        assert_eq!(soon(sender.get("/you")).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn a_connection_that_nginx_ends_after_five_requests_is_replaced() {
    for (origin, client) in pairs() {
        let (container, _nginx) = started(origin).await;
        let mut sender = container.world.client(VENDOR, client).await;
        for number in 0..23 {
            let answer = soon(sender.get("/you")).await;
            assert_eq!(answer.status(), StatusCode::OK, "{number}");
        }
        assert!(container.world.net.dials() >= 5, "{}", container.world.net.dials());
    }
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn trailers_and_echoes_and_refusals() {
    for (origin, client) in pairs() {
        let (container, _nginx) = started(origin).await;
        let mut sender = container.world.client(VENDOR, client).await;
        let answer = soon(sender.get("/you")).await;
        let shown = format!("{:?} {:?}", answer.headers(), answer.body());
        assert!(container.token.find_in_str(&shown).is_none() && shown.contains("****"), "{shown}");
        if client == Http::Two {
            let request = sender.request("GET", "/trailer").header("te", "trailers");
            let answer = soon(sender.send(request.body(empty()).unwrap())).await.unwrap();
            let collected = soon(answer.into_body().collect()).await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-last"], "yes");
            assert_eq!(hash(&collected.to_bytes()), hash(&blob()));
        }
        let stale = format!("Bearer {}", container.stale());
        let request = sender.request("GET", "/you").header(AUTHORIZATION, stale);
        let answer = soon(sender.send(request.body(empty()).unwrap())).await.unwrap();
        assert_eq!(answer.headers()["x-moat-blocked"], "stale-placeholder");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run cargo xtask e2e"]
async fn the_client_certificate_is_shown_to_its_host_alone() {
    for (origin, client) in pairs() {
        let (container, _nginx) = started(origin).await;
        let answer = soon(container.world.client(MUTUAL, client).await.get("/who")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = soon(container.world.client("stranger.test", client).await.get("/who")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let shown = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(shown.contains("No required SSL certificate was sent"), "{shown}");
    }
}
