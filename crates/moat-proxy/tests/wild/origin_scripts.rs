//! Hosts in Python and in Node: what HTTP/2 allows and few hosts do, trailers, hints, WebSocket.

use http::StatusCode;
use http_body_util::BodyExt;

use crate::container::{Container, VENDOR};
use crate::program::{Program, Server, source};
use crate::support::client::{Client, Http, empty, full};
use crate::support::soon;

/// Starts a host and returns it with the container that may use it.
async fn served(script: &str, more: &[&str]) -> (Container, Server) {
    let container = Container::new().await;
    let (certificate, key) = container.certificate(VENDOR);
    let interpreter = if script.ends_with(".py") { "python" } else { "node" };
    let program = Program::new(interpreter).args([source(script), key, certificate]).args(more);
    let server = program.env("TOKEN", container.token.text()).serve("ready").await;
    container.world.net.add(VENDOR, 443, server.address());
    (container, server)
}

/// Sends a request; returns status, body and trailers, or that the stream broke.
async fn ask(
    client: &mut Client,
    method: &str,
    path: &str,
    body: &'static str,
) -> Result<(StatusCode, String, http::HeaderMap), hyper::Error> {
    let body = if body.is_empty() { empty() } else { full(body) };
    let request = client.request(method, path).header("te", "trailers").body(body).unwrap();
    let answer = soon(client.send(request)).await?;
    let status = answer.status();
    let collected = soon(answer.into_body().collect()).await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&collected.to_bytes()).into_owned(), trailers))
}

#[tokio::test]
#[ignore = "needs Python's h2; run cargo xtask e2e"]
async fn streams_trailers_padding_and_long_heads() {
    for version in Http::BOTH {
        let (container, _server) = served("h2_vendor.py", &[]).await;
        let mut client = container.world.client(VENDOR, version).await;
        let (status, body, trailers) = ask(&mut client, "GET", "/trailers", "").await.unwrap();
        assert_eq!((status, body.as_str()), (StatusCode::OK, "body"));
        // HTTP/1.1 takes the trailers that were announced.
        assert_eq!(trailers["x-last"], "yes", "{version:?}");
        assert_eq!(container.token.find_in_str(&format!("{trailers:?}")), None);
        let (_, body, _) = ask(&mut client, "GET", "/hints", "").await.unwrap();
        assert_eq!(body, "after hints");
        let (_, body, _) = ask(&mut client, "GET", "/padded", "").await.unwrap();
        assert_eq!(body, "padded".repeat(10));
        // curl takes longer heads than hyper does.
        let flag = if version == Http::One { "--http1.1" } else { "--http2" };
        let curl = container.program("curl").args(["-sS", "-i", flag]);
        let wide = container.run(curl.arg(format!("https://{VENDOR}/wide"))).await.text();
        assert!(wide.contains(&format!("x-wide-19: {}", "19".repeat(1000))), "{}", wide.len());
        // The window of the host is smaller than the body.
        let (_, body, _) = ask(&mut client, "POST", "/other", LONG).await.unwrap();
        assert!(body.starts_with(&format!("/other {} Bearer ven_", LONG.len())), "{body}");
        assert_eq!(container.token.find_in_str(&body), None);
    }
}

const LONG: &str = include_str!("origin_scripts.rs");

#[tokio::test]
#[ignore = "needs Python's h2; run cargo xtask e2e"]
async fn interleaved_streams_stay_apart() {
    let (container, _server) = served("h2_vendor.py", &[]).await;
    let mut tasks = Vec::new();
    // Clients of one run share the connection to the host, whatever they speak.
    for (name, version) in ["a", "b", "c", "d"].into_iter().zip(Http::BOTH.into_iter().cycle()) {
        let mut client = container.world.client(VENDOR, version).await;
        tasks.push(tokio::spawn(async move {
            let (_, body, _) =
                ask(&mut client, "GET", &format!("/interleave/{name}"), "").await.unwrap();
            assert_eq!(body, name.repeat(500));
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(container.world.net.dials(), 1);
}

#[tokio::test]
#[ignore = "needs Python's h2; run cargo xtask e2e"]
async fn streams_that_end_badly_end_badly_and_the_next_is_right() {
    for version in Http::BOTH {
        let (container, mut server) = served("h2_vendor.py", &[]).await;
        let mut client = container.world.client(VENDOR, version).await;
        ask(&mut client, "GET", "/first", "").await.unwrap();
        let broken = ask(&mut client, "GET", "/broken", "").await;
        assert!(broken.is_err(), "{broken:?}");
        let mut client = container.world.client(VENDOR, version).await;
        let (_, body, _) = ask(&mut client, "GET", "/next", "").await.unwrap();
        assert!(body.starts_with("/next 0 "), "{body}");
        assert_eq!(container.world.net.dials(), 1, "the other streams go on");

        let (status, body, _) = ask(&mut client, "GET", "/bye", "").await.unwrap();
        assert_eq!((status, body.as_str()), (StatusCode::OK, "bye"));
        let (status, _, _) = ask(&mut client, "GET", "/after", "").await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(server.said("/after").await.starts_with("request 2 "));

        let (status, body, _) = ask(&mut client, "GET", "/gone", "").await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body, _) = ask(&mut client, "GET", "/refused", "").await.unwrap();
        assert_eq!(status, StatusCode::OK, "what the host did not look at is sent again: {body}");
    }
}

#[tokio::test]
#[ignore = "needs Node; run cargo xtask e2e"]
async fn node_sends_trailers_hints_and_no_push() {
    for origin in Http::BOTH {
        for version in Http::BOTH {
            let (container, _server) = served("node_vendor.js", &[origin.alpn()]).await;
            let mut client = container.world.client(VENDOR, version).await;
            let (status, body, trailers) = ask(&mut client, "POST", "/p", "abc").await.unwrap();
            assert_eq!((status, body.as_str()), (StatusCode::OK, "POST /p 3 -"));
            assert_eq!(trailers["x-last"], "yes", "{origin:?} {version:?}");
            let (_, body, _) = ask(&mut client, "GET", "/hints", "").await.unwrap();
            assert_eq!(body, "GET /hints 0 -");
            let (_, body, _) = ask(&mut client, "GET", "/push", "").await.unwrap();
            assert_eq!(body, "push false");
        }
    }
}

#[tokio::test]
#[ignore = "needs Node's ws and Python's websockets; run cargo xtask e2e"]
async fn node_speaks_websocket_with_the_credential() {
    let (container, _server) = served("node_vendor.js", &["http/1.1"]).await;
    let script = source("client_websockets.py");
    let url = format!("wss://{VENDOR}/");
    let talk = container.program("python").args([&script, &url, "", "none"]);
    // This host does not greet, so that the client's first message is what it waits for.
    let output = container.run(talk.env("SILENT", "1")).await;
    assert!(output.text().ends_with("closed 1000"), "{output}");
}
