//! The proxy, its hosts, and how names lead to them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moat_provider_core::{BoxFuture, Clock};
use moat_proxy::plane::{
    CertificateAuthority, Dialer, Limits, Proxy, Resolver, UpstreamTls, channel,
};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::ledger::{self, Ledger};
use crate::origins;

/// Hosts that answer, in both HTTP versions.
pub(crate) const STEADY: [&str; 4] =
    ["a.vendor.test", "b.vendor.test", "c.vendor.test", "d.vendor.test"];
/// A host of HTTP/1.1 alone.
pub(crate) const OLD: &str = "old.vendor.test";
/// A host that fails.
pub(crate) const WILD: &str = "wild.vendor.test";
/// A host that refuses every connection.
pub(crate) const CLOSED: &str = "closed.vendor.test";

/// Everything that all runs share.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
}

impl World {
    pub(crate) async fn open() -> Arc<Self> {
        let _ = moat_proxy::plane::raise_descriptor_limit();
        let ledger = Arc::new(Ledger::default());
        let (authority, issuer) = (authority(), authority());
        let net = Net::default();
        for host in STEADY {
            let listener = net.listen(host).await;
            let acceptor = acceptor(&issuer, host, &["h2", "http/1.1"]);
            tokio::spawn(origins::steady(listener, acceptor, Arc::clone(&ledger)));
        }
        let acceptor_of = |host| acceptor(&issuer, host, &["http/1.1"]);
        let old = (net.listen(OLD).await, acceptor_of(OLD));
        tokio::spawn(origins::steady(old.0, old.1, Arc::clone(&ledger)));
        let wild = (net.listen(WILD).await, acceptor_of(WILD));
        tokio::spawn(origins::wild(wild.0, wild.1, Arc::clone(&ledger)));
        net.name(CLOSED);

        let (recorder, mut records) = channel(64 * 1024);
        let trust = UpstreamTls::empty().trust_pem(issuer.certificate_pem().as_bytes());
        let limits = {
            // An hour of pauses is compressed as well.
            let mut limits = Limits::default();
            limits.pool_idle = Duration::from_secs(5);
            limits
        };
        let proxy = Proxy::builder(Arc::new(RealClock), Arc::new(authority))
            .limits(limits)
            .resolver(Arc::new(net.clone()))
            .dialer(Arc::new(net))
            .upstream_tls(trust.expect("a certificate"))
            .recorder(recorder)
            .build()
            .expect("a proxy");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port");
        tokio::spawn(proxy.serve_tcp(listener));
        let seen = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Some(record) = records.recv().await {
                let text = record.to_json();
                let reason = record.reason.unwrap_or("-");
                if ledger::names_a_secret(&text) {
                    seen.violation(format!("a secret is in a record: {text}"));
                }
                seen.done("record", reason);
            }
        });
        Arc::new(Self { proxy, address, ledger })
    }
}

pub(crate) fn authority() -> CertificateAuthority {
    let day = Duration::from_secs(24 * 3600);
    CertificateAuthority::generate(RealClock.now(), day).expect("an authority")
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn acceptor(issuer: &CertificateAuthority, host: &str, alpn: &[&str]) -> TlsAcceptor {
    let key = KeyPair::from_pem(&issuer.key_pem()).expect("a key");
    let issuer = Issuer::from_ca_cert_der(issuer.certificate(), key).expect("an authority");
    let leaf_key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let leaf = params.signed_by(&leaf_key, &issuer).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key.into())
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A name has one address of TEST-NET-3, and leads to loopback, or nowhere.
#[derive(Clone, Debug, Default)]
struct Net(Arc<Mutex<BTreeMap<String, Option<SocketAddr>>>>);

impl Net {
    fn name(&self, host: &str) {
        self.0.lock().expect("no panic").insert(host.to_owned(), None);
    }

    async fn listen(&self, host: &str) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let real = listener.local_addr().expect("a port");
        self.0.lock().expect("no panic").insert(host.to_owned(), Some(real));
        listener
    }

    fn address(at: usize) -> IpAddr {
        Ipv4Addr::new(203, 0, 113, u8::try_from(at).unwrap_or(u8::MAX)).into()
    }
}

impl Resolver for Net {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let at = self.0.lock().expect("no panic").keys().position(|known| known == host);
        let found = at.map(|at| vec![Self::address(at)]);
        Box::pin(async move { found.ok_or(io::ErrorKind::NotFound.into()) })
    }
}

impl Dialer for Net {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        let all = self.0.lock().expect("no panic");
        let found = all.values().enumerate().find(|(at, _)| Self::address(*at) == address.ip());
        let real = found.and_then(|(_, real)| *real).filter(|_| address.port() == 443);
        Box::pin(async move {
            let stream = TcpStream::connect(real.ok_or(io::ErrorKind::ConnectionRefused)?).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

/// Real time, because certificates are looked at.
#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
