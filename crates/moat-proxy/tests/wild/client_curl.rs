//! curl: both versions of HTTP on both hops, by token and by socket.

use crate::container::{Container, VENDOR};
use crate::double::{BLOB, blob, hash, vendor};
use crate::program::Program;
use crate::support::client::Http;

fn curl(container: &Container, version: Http) -> Program {
    let flag = if version == Http::One { "--http1.1" } else { "--http2" };
    container.program("curl").args(["-sS", "--suppress-connect-headers", "--max-time", "30", flag])
}

fn url(path: &str) -> String {
    format!("https://{VENDOR}{path}")
}

#[tokio::test]
#[ignore = "needs curl; run cargo xtask e2e"]
async fn curl_is_logged_in_and_never_sees_the_token() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let container = Container::new().await;
            vendor(&container, VENDOR, &[origin.alpn()]).await;
            let inside = container.placeholder();
            let shown = [format!("Bearer {inside}"), format!("token {inside}")];
            for header in shown.iter().map(|it| Some(it.as_str())).chain([None]) {
                let mut program = curl(&container, client).args(["-i", &url("/me")]);
                if let Some(value) = header {
                    program = program.args(["-H", &format!("Authorization: {value}")]);
                }
                let answer = container.run(program).await.text();
                let version = if client == Http::One { "HTTP/1.1 200" } else { "HTTP/2 200" };
                assert!(answer.starts_with(version), "{answer}");
                assert!(answer.contains("\"you\": \"sent\""), "{answer}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs curl; run cargo xtask e2e"]
async fn curl_without_a_right_is_refused() {
    let container = Container::new().await;
    let origin = vendor(&container, VENDOR, &["h2", "http/1.1"]).await;
    vendor(&container, "other.test", &["h2"]).await;
    for client in Http::BOTH {
        let ask = curl(&container, client).args(["-i", &url("/me"), "-H"]);
        let ask = ask.arg(format!("Authorization: Bearer {}", container.stale()));
        let answer = container.run(ask).await;
        assert!(answer.says(" 401") && answer.says("stale-placeholder"), "{answer}");
        let ask = curl(&container, client).arg("https://other.test/me");
        let answer = container.run(ask).await;
        assert!(!answer.ok && answer.says("403"), "{answer}");
        let ask = curl(&container, client).env(
            "https_proxy",
            "http://moat:wrong@".to_owned() + &container.world.address.to_string(),
        );
        let answer = container.run(ask.arg(url("/me"))).await;
        assert!(!answer.ok && answer.says("407"), "{answer}");
    }
    assert_eq!(origin.requests(), 0);
    container.ungranted();
    let ask = curl(&container, Http::Two).args(["-i", &url("/me"), "-H"]);
    let answer =
        container.run(ask.arg(format!("Authorization: Bearer {}", container.placeholder()))).await;
    assert!(answer.says("401") && answer.says("Bad credentials"), "{answer}");
}

#[tokio::test]
#[ignore = "needs curl; run cargo xtask e2e"]
async fn curl_moves_bodies_both_ways() {
    for origin in Http::BOTH {
        for client in Http::BOTH {
            let container = Container::new().await;
            vendor(&container, VENDOR, &[origin.alpn()]).await;
            let sent = container.file("blob", blob());
            let data = format!("@{}", sent.display());
            let uploaded = |method: &str| format!("{method} {BLOB} {}", hash(&blob()));
            let uploads: [(&[&str], _); 4] = [
                (&["--data-binary", &data], uploaded("POST")),
                (&["-T", sent.to_str().unwrap()], uploaded("PUT")),
                (&["--data-binary", &data, "-H", "Transfer-Encoding: chunked"], uploaded("POST")),
                (&["--data-binary", &data, "-H", "Expect: 100-continue"], uploaded("POST")),
            ];
            for (arguments, expected) in uploads {
                let upload = curl(&container, client).args(arguments).arg(url("/upload"));
                assert_eq!(container.run(upload).await.text(), expected, "{arguments:?}");
            }
            let whole = container.run(curl(&container, client).arg(url("/blob"))).await;
            assert!(whole.ok && whole.stdout == blob(), "{} bytes", whole.stdout.len());
            let range = curl(&container, client).args(["-r", "1000-200999", &url("/blob")]);
            let range = container.run(range).await;
            assert!(range.ok && range.stdout == blob().slice(1000..201_000));
            let head = container.run(curl(&container, client).args(["-I", &url("/blob")])).await;
            assert!(head.text().contains(&format!("content-length: {BLOB}")), "{head}");
        }
    }
}

#[tokio::test]
#[ignore = "needs curl; run cargo xtask e2e"]
async fn curl_sends_many_requests_through_one_tunnel() {
    for client in Http::BOTH {
        let container = Container::new().await;
        let origin = vendor(&container, VENDOR, &["h2"]).await;
        let many = curl(&container, client).args(["-Z", "--parallel-max", "8"]);
        let many = many.args(["-o", "/dev/null", "-w", "%{http_code} ", &url("/me?[1-50]")]);
        let answers = container.run(many).await.text();
        assert_eq!(answers.matches("200").count(), 50, "{answers}");
        assert_eq!(origin.requests(), 50);
    }
}
