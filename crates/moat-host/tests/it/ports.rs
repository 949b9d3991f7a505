//! Clock, entropy and environment, and all ports at once.

use std::sync::Arc;
use std::time::Duration;

use moat_host::{HostPorts, SystemClock, SystemEntropy, SystemEnvironment};
use moat_provider_core::{Clock, CommandSpec, Entropy, Environment, ErrorKind, HostDir, HostFile};
use moat_provider_testkit::{FakeEnvironment, VendorDouble, empty};
use tempfile::{NamedTempFile, TempDir};
use time::OffsetDateTime;

use crate::support::{HOST, exposed, get};

#[tokio::test(start_paused = true)]
async fn the_clock_tells_and_spends_time() {
    let before = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    assert!(SystemClock.now() > before);
    assert!(SystemClock.now().offset().is_utc());
    let started = tokio::time::Instant::now();
    SystemClock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(started.elapsed(), Duration::from_secs(3600));
}

#[test]
fn random_bytes_differ() {
    let (mut one, mut other) = ([0; 32], [0; 32]);
    SystemEntropy.fill(&mut one).unwrap();
    SystemEntropy.fill(&mut other).unwrap();
    assert_ne!(one, other);
    assert_ne!(one, [0; 32]);
}

#[test]
fn the_environment_is_that_of_the_process() {
    let dir = SystemEnvironment.var("CARGO_MANIFEST_DIR").unwrap().unwrap();
    assert_eq!(exposed(&dir), env!("CARGO_MANIFEST_DIR"));
    for name in ["MOAT_TEST_NOT_SET", "", "A=B", "A\0B"] {
        assert!(SystemEnvironment.var(name).unwrap().is_none());
    }
}

#[tokio::test]
async fn all_ports_are_there() {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("file"), "text").unwrap();
    let environment = FakeEnvironment::new()
        .text("HOME", home.path().to_str().unwrap())
        .text("HTTPS_PROXY", "http://127.0.0.1:1")
        .text("PATH", "/usr/bin:/bin");
    let double = VendorDouble::https(|_: &http::Request<bytes::Bytes>| empty(204), [HOST]);
    let ca = NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), double.authority_pem().unwrap()).unwrap();
    let connect_to = format!("{HOST}:443:127.0.0.1:{}", double.address().port());

    let ports = HostPorts::builder()
        .environment(Arc::new(environment))
        .workspace(home.path().join("work"))
        .upstream_ca(ca.path())
        .unwrap()
        .connect_to([connect_to.parse().unwrap()])
        .build()
        .unwrap();
    let host = ports.host_context();
    assert_eq!(host.http().send(get("/")).await.unwrap().status(), 204);
    let output = host.commands().run(&CommandSpec::new("true")).await.unwrap();
    assert!(output.succeeded());
    let file = HostFile::new("file").at(HostDir::Home, "file");
    assert_eq!(exposed(&host.files().read(&file).await.unwrap().unwrap()), "text");
    let grant = ports.grant_context();
    assert!(grant.environment().var("HOME").unwrap().is_some());
    assert!(grant.redirects().listen("/").await.is_ok());
    let error = grant.terminal().choose("Which?", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_at_once() {
    let environment = FakeEnvironment::new().text("HTTPS_PROXY", "socks5://127.0.0.1:1");
    let error = HostPorts::builder().environment(Arc::new(environment)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.message(), "the proxy in HTTPS_PROXY is not reached over plain HTTP");
}
