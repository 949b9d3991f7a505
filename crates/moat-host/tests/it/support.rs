//! What several tests need.

use std::error::Error as StdError;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use moat_host::{HttpsClient, HttpsClientBuilder};
use moat_provider_core::{Error, Secret};
use moat_provider_testkit::{Canary, VendorDouble};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The host in whose place all doubles stand.
pub(crate) const HOST: &str = "api.vendor.example";

/// A client that trusts a double's authority and reaches its host there.
pub(crate) fn client_of(double: &VendorDouble) -> HttpsClient {
    let pem = double.authority_pem().unwrap();
    trusting(&pem).connect_to([to(double.address())]).build().unwrap()
}

pub(crate) fn trusting(pem: &str) -> HttpsClientBuilder {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    HttpsClient::builder().upstream_ca(file.path()).unwrap()
}

pub(crate) fn to(address: SocketAddr) -> moat_host::ConnectTo {
    format!("{HOST}:443:127.0.0.1:{}", address.port()).parse().unwrap()
}

pub(crate) fn get(path: &str) -> Request<Bytes> {
    Request::get(format!("https://{HOST}{path}")).body(Bytes::new()).unwrap()
}

/// A TLS server that answers each connection with a function.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    pub(crate) pem: String,
}

impl TlsServer {
    pub(crate) async fn start<F, A>(alpn: &[&[u8]], answer: A) -> Self
    where
        A: Fn(TlsStream<TcpStream>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (config, pem) = identity(alpn);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                if let Ok(tls) = acceptor.accept(tcp).await {
                    tokio::spawn(answer(tls));
                }
            }
        });
        Self { address, pem }
    }

    pub(crate) fn client(&self) -> HttpsClient {
        trusting(&self.pem).connect_to([to(self.address)]).build().unwrap()
    }
}

fn identity(alpn: &[&[u8]]) -> (ServerConfig, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([HOST.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config =
        builder.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (config, pem)
}

/// Everything that an error shows anywhere.
pub(crate) fn text_of(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{}", error.hint().unwrap_or_default());
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("\n{cause}\n{cause:?}"));
        source = cause.source();
    }
    text
}

/// A canary that can stand in a URL as it is.
pub(crate) fn url_canary() -> Canary {
    Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 40)
}

#[expect(clippy::disallowed_methods, reason = "the tests look at what was read")]
pub(crate) fn exposed(secret: &Secret) -> &str {
    secret.expose()
}

/// Writes a program of the shell.
pub(crate) fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}
