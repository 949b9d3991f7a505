//! TLS towards hosts: what is trusted, and who we say we are.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{HostTcp, Offer};
use crate::plane::error::SetupError;
use crate::{Authority, Host, Reason, Refusal};

/// Sessions that are kept for resumption.
const SESSIONS: usize = 1024;

/// What the proxy trusts, and the certificates that it shows to hosts that ask for one.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    roots: RootCertStore,
    certificates: Vec<ClientCertificate>,
}

impl UpstreamTls {
    /// Trusts nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        Self { roots: RootCertStore::empty(), certificates: Vec::new() }
    }

    /// Trusts what the system trusts.
    ///
    /// # Errors
    ///
    /// When the system's store cannot be read, or nothing is in it.
    pub fn system() -> Result<Self, SetupError> {
        let mut tls = Self::empty();
        let loaded = rustls_native_certs::load_native_certs();
        let (added, _) = tls.roots.add_parsable_certificates(loaded.certs);
        if added == 0 {
            let error = SetupError::new("the system trusts no certificate authority");
            return Err(match loaded.errors.into_iter().next() {
                Some(cause) => error.because(cause),
                None => error,
            });
        }
        Ok(tls)
    }

    /// Trusts the authorities of a PEM file too.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it, or one that cannot be used.
    pub fn trust_pem(mut self, pem: &[u8]) -> Result<Self, SetupError> {
        let invalid = || SetupError::new("the upstream CA is not a certificate in PEM");
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| invalid().because(error))?;
            self.roots.add(certificate).map_err(|error| invalid().because(error))?;
            count += 1;
        }
        if count == 0 { Err(invalid()) } else { Ok(self) }
    }

    /// Shows a certificate to one host that asks for one.
    #[must_use]
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificates.push(certificate);
        self
    }
}

/// A certificate with its key, for one host and port.
pub struct ClientCertificate {
    authority: Authority,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Clone for ClientCertificate {
    fn clone(&self) -> Self {
        let Self { authority, chain, key } = self;
        Self { authority: authority.clone(), chain: chain.clone(), key: key.clone_key() }
    }
}

impl ClientCertificate {
    /// Reads a certificate chain and its key, both in PEM.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read. The text shows none of it.
    pub fn from_pem(authority: Authority, chain: &[u8], key: &[u8]) -> Result<Self, SetupError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| SetupError::new("the client certificate is not PEM"))?;
        if chain.is_empty() {
            return Err(SetupError::new("there is no client certificate in the file"));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| SetupError::new("the client certificate's key is not PEM"))?;
        Ok(Self { authority, chain, key })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Performs handshakes with hosts.
pub(crate) struct Tls {
    common: Profile,
    /// A session under a client certificate is resumed under that certificate only.
    of_host: HashMap<Authority, Profile>,
}

struct Profile {
    any: TlsConnector,
    http1: TlsConnector,
}

impl Tls {
    pub(crate) fn new(
        tls: UpstreamTls,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, SetupError> {
        let roots = Arc::new(tls.roots);
        let common = Profile::new(&roots, None, provider)?;
        let of_host = tls
            .certificates
            .into_iter()
            .map(|certificate| {
                let identity = Some((certificate.chain, certificate.key));
                Ok((certificate.authority, Profile::new(&roots, identity, provider)?))
            })
            .collect::<Result<_, SetupError>>()?;
        Ok(Self { common, of_host })
    }

    pub(super) async fn connect(
        &self,
        authority: &Authority,
        tcp: HostTcp,
        offer: Offer,
    ) -> Result<TlsStream<HostTcp>, Refusal> {
        let profile = self.of_host.get(authority).unwrap_or(&self.common);
        let connector = if offer == Offer::Http1 { &profile.http1 } else { &profile.any };
        let name = match authority.host() {
            Host::Address(ip) => ServerName::IpAddress((*ip).into()),
            Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).map_err(|_| {
                Refusal::new(Reason::AuthorityMalformed).about("no certificate can name it")
            })?,
        };
        connector.connect(name, tcp).await.map_err(|error| failed(&error))
    }
}

impl Profile {
    fn new(
        roots: &Arc<RootCertStore>,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, SetupError> {
        let unusable = |error| SetupError::new("TLS cannot be set up").because(error);
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(Arc::clone(roots));
        let mut config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let connector = |alpn: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { any: connector(&[b"h2", b"http/1.1"]), http1: connector(&[b"http/1.1"]) })
    }
}

fn failed(error: &std::io::Error) -> Refusal {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => Refusal::new(Reason::TlsVerify),
        _ => Refusal::new(Reason::TlsHandshake),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
