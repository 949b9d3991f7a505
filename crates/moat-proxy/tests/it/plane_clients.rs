//! Real programs, and what they make of leaves.

use std::sync::Arc;

use http_body_util::BodyExt;
use moat_proxy::plane::{ConnectTo, Limits, UpstreamProxy};
use tokio::io::AsyncWriteExt;

use crate::support::client::{Http, head};
use crate::support::origin::{Origin, raw, text};
use crate::support::{Rules, TOKEN, World, soon};

/// A directory that goes with the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn with_ca(world: &World, name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("moat-plane-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ca.pem"), world.ca.certificate_pem()).unwrap();
        Self(dir)
    }

    fn ca(&self) -> String {
        self.0.join("ca.pem").display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn run(program: &str, args: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(program);
    command.args(args).env_clear().env("PATH", env!("PATH")).kill_on_drop(true);
    let limit = std::time::Duration::from_secs(60);
    let output = tokio::time::timeout(limit, command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn echo(world: &World, version: Http) -> Origin {
    Origin::tls(&world.origins, &world.net, "a.test", &[version.alpn()], |request| async {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        text(format!("{} {} {}", head.method, head.uri.path(), body.len()))
    })
    .await
}

#[tokio::test]
async fn curl_works_in_both_versions() {
    for origin in Http::BOTH {
        let world = World::new(Rules::default()).await;
        echo(&world, origin).await;
        let scratch = Scratch::with_ca(&world, &format!("curl-{}", origin.alpn().len()));
        let big = scratch.0.join("big");
        std::fs::write(&big, vec![b'x'; 3_000_000]).unwrap();
        let big = format!("@{}", big.display());
        let proxy = format!("http://moat:{TOKEN}@{}", world.address);
        let ca = scratch.ca();
        for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let common = ["-sS", "--max-time", "10", "--proxy", &proxy, "--cacert", &ca, flag];
            let shape = ["-w", " %{http_version} %{http_code}"];
            let url = "https://a.test/p";
            let more: [(&[&str], &str); 3] = [
                (&[], "GET /p 0"),
                (&["--data-binary", &big], "POST /p 3000000"),
                (&["--data-binary", &big, "-H", "Transfer-Encoding: chunked"], "POST /p 3000000"),
            ];
            for (extra, expected) in more {
                let args = [&common[..], &shape, extra, &[url]].concat();
                let (ok, output) = run("curl", &args).await;
                assert!(ok, "{output}");
                assert_eq!(output, format!("{expected} {version} 200"));
            }
        }
    }
}

#[tokio::test]
async fn python_works_and_tries_again_after_407() {
    let world = World::new(Rules::default()).await;
    echo(&world, Http::Two).await;
    let scratch = Scratch::with_ca(&world, "python");
    let program = r"
import http.client, ssl, sys, base64, urllib.request
host, port, token, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
auth = 'Basic ' + base64.b64encode(('moat:' + token).encode()).decode()
c = http.client.HTTPSConnection(host, port, context=context)
c.set_tunnel('a.test', 443, headers={'Proxy-Authorization': auth})
for path in ('/one', '/two'):
    c.request('POST', path, body=iter([b'abc', b'def']))
    print(c.getresponse().read().decode())
proxy = urllib.request.ProxyHandler({'https': f'http://moat:{token}@{host}:{port}'})
opener = urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context))
print(opener.open('https://a.test/three').read().decode())
";
    let (ip, port) = (world.address.ip().to_string(), world.address.port().to_string());
    let (ok, output) = run("python3", &["-c", program, &ip, &port, TOKEN, &scratch.ca()]).await;
    assert!(ok, "{output}");
    assert_eq!(output, "POST /one 6\nPOST /two 6\nGET /three 0\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_handshakes_at_once_one_mints() {
    let world = Arc::new(World::new(Rules::default()).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let world = Arc::clone(&world);
        all.spawn(async move { drop(world.tls("a.test", &["h2"]).await) });
    }
    while let Some(done) = soon(all.join_next()).await {
        done.unwrap();
    }
    assert_eq!(world.run.leaves(), (1, 1));
}

#[tokio::test]
async fn a_leaf_is_kept_among_a_bounded_number() {
    let mut limits = Limits::default();
    limits.leaves = 4;
    let world = World::with(Rules::default(), limits, |builder| builder).await;
    for n in 0..12 {
        drop(world.tls(&format!("h{n}.test"), &["h2"]).await);
    }
    let (minted, kept) = world.run.leaves();
    assert_eq!(minted, 12);
    assert!(kept <= 4, "{kept}");
}

#[tokio::test]
async fn a_client_resumes_its_session() {
    let world = World::new(Rules::default()).await;
    echo(&world, Http::One).await;
    let connector = world.connector(&["http/1.1"]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (socket, _) = world.tunnel("a.test:443").await;
        let mut stream = connector.connect("a.test".try_into().unwrap(), socket).await.unwrap();
        // The ticket comes after the handshake, with the first answer at the latest.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        assert!(soon(head(&mut stream)).await.starts_with("HTTP/1.1 200"));
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_ca_is_recorded() {
    let mut world = World::new(Rules::default()).await;
    let proxy = format!("http://moat:{TOKEN}@{}", world.address);
    let args = ["-sS", "--max-time", "10", "--proxy", &proxy, "https://a.test/"];
    let (ok, output) = run("curl", &args).await;
    assert!(!ok, "{output}");
    let record = world.record(|_| true).await;
    assert_eq!((record.url.as_str(), record.reason), ("a.test:443", Some("client-tls")));
}

#[tokio::test]
async fn connect_to_and_an_upstream_proxy_are_used() {
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let corporate = |net: &crate::support::Net, target: std::net::SocketAddr| {
        let (net, seen) = (net.clone(), seen.clone());
        async move {
            raw(&net, "corp.test", 3128, move |mut tcp| {
                let seen = seen.clone();
                async move {
                    seen.send(head(&mut tcp).await).unwrap();
                    tcp.write_all(b"HTTP/1.1 200 Yes\r\nX: y\r\n\r\n").await.unwrap();
                    let mut host = tokio::net::TcpStream::connect(target).await.unwrap();
                    _ = tokio::io::copy_bidirectional(&mut tcp, &mut host).await;
                }
            })
            .await
        }
    };
    let proxy = UpstreamProxy::parse("http://u:p@corp.test:3128").unwrap();
    let proxy = proxy.bypass(["direct.test".to_owned()]);
    let world =
        World::with(Rules::default(), Limits::default(), |builder| builder.upstream_proxy(proxy))
            .await;
    // The real address of the host is known to the other proxy alone.
    let hidden = crate::support::Net::default();
    Origin::tls(&world.origins, &hidden, "a.test", &["h2"], |_| async { text("a") }).await;
    corporate(&world.net, hidden.real("a.test", 443)).await;
    Origin::tls(&world.origins, &world.net, "direct.test", &["h2"], |_| async { text("d") }).await;
    assert_eq!(world.client("a.test", Http::One).await.get("/").await.body(), "a");
    let request = soon(heads.recv()).await.unwrap();
    assert!(
        request.starts_with("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"),
        "{request}"
    );
    assert!(request.contains("Proxy-Authorization: Basic dTpw\r\n"), "{request}");
    assert_eq!(world.client("direct.test", Http::One).await.get("/").await.body(), "d");
    assert_eq!(world.net.resolved(), ["corp.test", "direct.test"]);

    let rule: ConnectTo = "b.test:443:other.test:8443".parse().unwrap();
    let world =
        World::with(Rules::default(), Limits::default(), |builder| builder.connect_to(rule)).await;
    Origin::tls(&world.origins, &hidden, "b.test", &["h2"], |_| async { text("b") }).await;
    world.net.add("other.test", 8443, hidden.real("b.test", 443));
    assert_eq!(world.client("b.test", Http::One).await.get("/").await.body(), "b");
}
