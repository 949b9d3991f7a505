//! Which variable makes a client trust the run's authority: the table of `docs/src/clients.md`.

use crate::client_libraries::{bun, deno, go};
use crate::container::{Container, TRUST, VENDOR};
use crate::double::vendor;
use crate::program::{Program, source};

/// Each client, and the variables that work for it on their own.
const TABLE: [(&str, &[&str]); 12] = [
    ("curl", &["CURL_CA_BUNDLE", "SSL_CERT_FILE"]),
    ("git", &["GIT_SSL_CAINFO"]),
    ("wget", &[]),
    ("requests", &["CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]),
    ("httpx", &["SSL_CERT_FILE"]),
    ("aiohttp", &["SSL_CERT_FILE"]),
    ("urllib", &["SSL_CERT_FILE"]),
    ("node", &["NODE_EXTRA_CA_CERTS"]),
    ("bun", &["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]),
    ("deno", &["DENO_CERT", "NODE_EXTRA_CA_CERTS"]),
    ("ruby", &["SSL_CERT_FILE"]),
    ("go", &["SSL_CERT_FILE"]),
];

const URLLIB: &str =
    "import sys, urllib.request as u; print(u.urlopen(sys.argv[1] + '/me').status)";

/// Prepares a client that fails unless it trusts the authority.
fn client(container: &Container, name: &str, go: &str) -> Program {
    let url = format!("https://{VENDOR}");
    let python = |script: &str| container.bare("python").arg(source(script)).args([&url, ""]);
    match name {
        "curl" => container.bare("curl").args(["-sSf", &format!("{url}/me")]),
        "git" => container.bare("git").args(["ls-remote", &url]),
        "wget" => container.bare("wget").args(["--tries=1", "-O", "-", &format!("{url}/me")]),
        "requests" => python("client_requests.py"),
        "httpx" => python("client_httpx.py").arg("1"),
        "aiohttp" => python("client_aiohttp.py"),
        "urllib" => container.bare("python").args(["-c", URLLIB, &url]),
        "node" => container.bare("node").arg(source("client_undici.js")).args([&url, ""]),
        "bun" => bun().start(container.bare(&bun().program)).args([&url, ""]),
        "deno" => deno().start(container.bare(&deno().program)).args([&url, ""]),
        "ruby" => container.bare("ruby").arg(source("client_ruby.rb")).args([&url, ""]),
        _ => container.bare(go).args([&url, "", "2"]),
    }
}

#[tokio::test]
#[ignore = "needs every client; run cargo xtask e2e"]
async fn the_table_of_variables_is_right() {
    let go = go().await;
    let mut measured = Vec::new();
    for (name, _) in TABLE {
        let container = Container::new().await;
        let origin = vendor(&container, VENDOR, &["h2"]).await;
        let none = container.run(client(&container, name, &go)).await;
        assert!(!none.ok && origin.requests() == 0, "{name} trusts anyone: {none}");
        let mut works = Vec::new();
        for variable in TRUST {
            let before = origin.requests();
            let program = client(&container, name, &go).env(variable, container.bundle());
            _ = container.run(program).await;
            // The vendor is no git server: that git asked it is what counts.
            if origin.requests() > before {
                works.push(variable);
            }
        }
        measured.push((name, works));
    }
    let expected: Vec<_> = TABLE.map(|(name, works)| (name, works.to_vec())).into();
    assert_eq!(measured, expected);
}
