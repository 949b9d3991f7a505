//! Certificates made for one test.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An authority and the certificate that it made for a double.
pub(super) struct Identity {
    authority: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

impl Identity {
    pub(super) fn new(hosts: &[String]) -> Self {
        match Self::make(hosts) {
            Ok(identity) => identity,
            Err(error) => panic!("no certificate can be made for {hosts:?}: {error}"),
        }
    }

    fn make(hosts: &[String]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "authority of a vendor's double";
        authority.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = authority.self_signed(&key)?.der().clone();
        let issuer = Issuer::new(authority, key);

        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(hosts)?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        Ok(Self { authority: certificate, server: Arc::new(server) })
    }

    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Makes the configuration of a client that trusts this authority and no other.
    pub(super) fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([self.authority.clone()]);
        match ClientConfig::builder_with_provider(ring()).with_safe_default_protocol_versions() {
            Ok(builder) => Arc::new(builder.with_root_certificates(roots).with_no_client_auth()),
            Err(error) => panic!("no TLS client can be made: {error}"),
        }
    }

    pub(super) fn authority_pem(&self) -> String {
        let encoded = STANDARD.encode(&self.authority);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (at, character) in encoded.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
        pem
    }
}

/// The provider is always passed: a default of the process belongs to the program under test.
fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
