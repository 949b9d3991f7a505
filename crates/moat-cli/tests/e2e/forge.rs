//! Repositories behind git's own CGI program.

use std::path::Path;
use std::process::Stdio;

use http::{HeaderName, HeaderValue, Request};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

use crate::program::Program;
use crate::vendor::{Reply, body, text};

/// Makes a repository that takes pushes.
pub(crate) async fn create(root: &Path, name: &str) {
    let git = || Program::new("git").env("HOME", root).directory(root);
    git().args(["init", "-q", "--bare", "-b", "main", name]).run().await.text();
    let enable = ["-C", name, "config", "http.receivepack", "true"];
    git().args(enable).run().await.text();
}

/// Answers a request with `git http-backend` (RFC 3875): reading a repository whose name begins
/// with `public` needs no login.
pub(crate) async fn answer(root: &Path, request: Request<Incoming>, is_known: bool) -> Reply {
    let is_read = request.uri().query() == Some("service=git-upload-pack")
        || request.uri().path().ends_with("/git-upload-pack");
    let is_public = request.uri().path().contains("/public") && is_read;
    if !is_known && !is_public {
        let mut refused = text(401, "no");
        let basic = HeaderValue::from_static("Basic realm=\"GitHub\"");
        refused.headers_mut().insert("www-authenticate", basic);
        return refused;
    }
    let (head, sent) = request.into_parts();
    let field = |name: &str| {
        let value = head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let program = Program::new("git")
        .arg("http-backend")
        .env("HOME", root)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "octocat")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", field("content-type"))
        .env("CONTENT_LENGTH", field("content-length"))
        .env("HTTP_CONTENT_ENCODING", field("content-encoding"))
        .env("GIT_PROTOCOL", field("git-protocol"));
    let mut child = program.spawn(Stdio::piped());
    let sent = body(Request::from_parts(head, sent)).await;
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move { _ = stdin.write_all(&sent).await };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut reply = text(200, output[end + 4..].to_vec());
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
