//! wget, which speaks HTTP/1.1 alone.

use crate::container::{Container, VENDOR};
use crate::double::{BLOB, blob, hash, vendor};
use crate::program::Program;
use crate::support::client::Http;

/// wget is built with GnuTLS, which reads no variable: the bundle is named in its settings.
fn wget(container: &Container) -> Program {
    let settings = container.file("wgetrc", format!("ca_certificate = {}\n", container.bundle()));
    let program = container.program("wget").env("WGETRC", settings);
    program.args(["-nv", "--tries=1", "--timeout=20", "-S", "-O", "-"])
}

#[tokio::test]
#[ignore = "needs wget; run cargo xtask e2e"]
async fn wget_works() {
    let url = |path: &str| format!("https://{VENDOR}{path}");
    for origin in Http::BOTH {
        let container = Container::new().await;
        vendor(&container, VENDOR, &[origin.alpn()]).await;
        let placeholder = format!("--header=Authorization: token {}", container.placeholder());
        for ask in [wget(&container), wget(&container).arg(placeholder)] {
            let answer = container.run(ask.arg(url("/me"))).await;
            assert!(answer.text().contains("\"you\": \"sent\""), "{answer}");
        }
        let answer = container.run(wget(&container).arg(url("/blob"))).await;
        assert!(answer.ok && answer.stdout == blob(), "{} bytes", answer.stdout.len());
        let part = wget(&container).args(["--start-pos=1048000", &url("/blob")]);
        let part = container.run(part).await;
        assert!(part.ok && part.stdout == blob().slice(1_048_000..), "{}", part.stdout.len());
        let sent = container.file("blob", blob());
        let post = wget(&container).arg("--post-file").arg(sent).arg(url("/upload"));
        let answer = container.run(post).await.text();
        assert_eq!(answer, format!("POST {BLOB} {}", hash(&blob())));
    }
    let container = Container::new().await;
    let origin = vendor(&container, VENDOR, &["h2"]).await;
    let stale = format!("--header=Authorization: Bearer {}", container.stale());
    let answer = container.run(wget(&container).args([&stale, &url("/me")])).await;
    assert!(!answer.ok && answer.says("stale-placeholder"), "{answer}");
    let answer = container.run(wget(&container).arg("https://other.test/")).await;
    assert!(!answer.ok && answer.says("Forbidden"), "{answer}");
    assert_eq!(origin.requests(), 0);
    container.ungranted();
    let answer = container.run(wget(&container).arg(url("/me"))).await;
    assert!(!answer.ok && answer.says("401"), "{answer}");
}
