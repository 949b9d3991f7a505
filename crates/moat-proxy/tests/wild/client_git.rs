//! git: clone and push over HTTP, with the credential put into the slot that git leaves empty.

use std::process::Stdio;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use moat_provider_core::HeaderTemplate;
use tokio::io::AsyncWriteExt;

use crate::container::{Container, Home};
use crate::double::{accepted, blob};
use crate::program::{Output, Program};
use crate::support::client::Http;
use crate::support::origin::{Origin, Reply, text};

const FORGE: &str = "git.vendor.test";

/// Serves repositories by git's own CGI program to those who have the token.
async fn forge(container: &Container, alpn: &[&str]) -> (Origin, Arc<Home>) {
    let repositories = Arc::new(Home::new());
    let init = git_of_host(&repositories).args(["init", "-q", "--bare", "all.git"]);
    assert_eq!(init.run().await.text(), "");
    let enable = ["-C", "all.git", "config", "http.receivepack", "true"];
    assert_eq!(git_of_host(&repositories).args(enable).run().await.text(), "");
    let (accepted, root) = (accepted(&container.token), Arc::clone(&repositories));
    let (origins, net) = (&container.world.origins, &container.world.net);
    let origin = Origin::tls(origins, net, FORGE, alpn, move |request| {
        let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let known = sent.is_some_and(|sent| accepted.iter().any(|it| it == sent));
        let root = Arc::clone(&root);
        async move {
            if known {
                return backend(&root, request).await;
            }
            let mut refused = text("no");
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            let basic = HeaderValue::from_static("Basic realm=\"forge\"");
            refused.headers_mut().insert("www-authenticate", basic);
            refused
        }
    })
    .await;
    (origin, repositories)
}

fn git_of_host(home: &Home) -> Program {
    Program::new("git").env("HOME", &home.0).directory(&home.0)
}

/// Answers a request with `git http-backend` (RFC 3875).
async fn backend(root: &Home, request: Request<Incoming>) -> Reply {
    let (head, mut body) = request.into_parts();
    let field = |name: &str| {
        let value = head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let program = git_of_host(root)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root.0)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", field("content-type"))
        .env("CONTENT_LENGTH", field("content-length"))
        .env("HTTP_CONTENT_ENCODING", field("content-encoding"))
        .env("GIT_PROTOCOL", field("git-protocol"));
    let mut child = program.spawn(Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                _ = stdin.write_all(&data).await;
            }
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut reply = text(output[end + 4..].to_vec());
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *reply.status_mut() = value[..3].parse().unwrap();
        } else {
            let name: HeaderName = name.parse().unwrap();
            reply.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    reply
}

async fn git(container: &Container, args: &[&str]) -> Output {
    let program = container.program("git").args(["-c", "user.name=a", "-c", "user.email=a@b"]);
    container.run(program.env("GIT_TERMINAL_PROMPT", "0").args(args)).await
}

#[tokio::test]
#[ignore = "needs git; run cargo xtask e2e"]
async fn git_clones_and_pushes_much() {
    for (origin, client) in [(Http::One, "HTTP/2"), (Http::Two, "HTTP/2"), (Http::Two, "HTTP/1.1")]
    {
        let template = HeaderTemplate::Basic { user: "x-access-token".into() };
        let container = Container::granted(&[FORGE], template).await;
        let (_origin, repositories) = forge(&container, &[origin.alpn()]).await;
        let url = format!("https://{FORGE}/all.git");
        let version = format!("http.version={client}");
        let clone = git(&container, &["-c", &version, "clone", "-q", &url, "work"]).await;
        assert!(clone.ok, "{clone}");
        // Random bytes do not shrink; a pack of more than a megabyte is sent without a length.
        let bytes = moat_provider_testkit::Canary::with_length("", 4096);
        let many: Vec<u8> = (0..350).flat_map(|n| noise(bytes.text(), n)).collect();
        container.file("work/blob", blob());
        container.file("work/noise", &many);
        assert!(git(&container, &["-C", "work", "add", "."]).await.ok);
        assert!(git(&container, &["-C", "work", "commit", "-q", "-m", "much"]).await.ok);
        let head = "HEAD:refs/heads/main";
        let push =
            git(&container, &["-C", "work", "-c", &version, "push", "-q", "origin", head]).await;
        assert!(push.ok, "{push}");
        let arrived = ["-C", "all.git", "cat-file", "-s", "main:noise"];
        let arrived = git_of_host(&repositories).args(arrived).run().await.text();
        assert_eq!(arrived, many.len().to_string());
        let again = ["-c", &version, "clone", "-q", "-b", "main", &url, "again"];
        let again = git(&container, &again).await;
        assert!(again.ok, "{again}");
        assert!(std::fs::read(container.path("again/noise")).unwrap() == many);
    }
}

/// Returns bytes that compression does not shrink.
fn noise(seed: &str, number: u32) -> Vec<u8> {
    let text = format!("{seed}{number}");
    (0..64u32)
        .flat_map(|n| {
            ring::digest::digest(&ring::digest::SHA512, format!("{n}{text}").as_bytes())
                .as_ref()
                .to_vec()
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs git; run cargo xtask e2e"]
async fn git_without_a_right_is_refused() {
    let template = HeaderTemplate::Basic { user: "x-access-token".into() };
    let container = Container::granted(&[FORGE], template).await;
    let (origin, _repositories) = forge(&container, &["h2"]).await;
    let url = |login: &str, host: &str| format!("https://{login}{host}/all.git");
    let stale = url(&format!("x-access-token:{}@", container.stale()), FORGE);
    // git shows a password only after it was asked for one, so the first request fills the slot.
    let header = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("x-access-token:{}", container.stale()),
    );
    let header = format!("http.extraHeader=Authorization: Basic {header}");
    let refused = git(&container, &["-c", &header, "ls-remote", &url("", FORGE)]).await;
    assert!(!refused.ok, "{refused}");
    assert_eq!(origin.requests(), 0);
    assert!(git(&container, &["ls-remote", &stale]).await.ok);
    let denied = git(&container, &["ls-remote", &url("", "other.test")]).await;
    assert!(!denied.ok && denied.says("403"), "{denied}");
    container.ungranted();
    let without = git(&container, &["ls-remote", &stale]).await;
    assert!(!without.ok && without.says("Authentication failed"), "{without}");
}
