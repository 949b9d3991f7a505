//! What all processes of one benchmark share: names, a directory, certificates, a credential.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Result;

/// The name of the origin, which resolves nowhere: every proxy is told its address.
pub(crate) const HOST: &str = "origin.test";

/// The id of the key that requests are signed anew with.
pub(crate) const SESSION: &str = "ASIASESSIONSESSIONSE";

/// A version of HTTP, in the name that ALPN has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::One => b"http/1.1",
            Self::Two => b"h2",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let known = Self::BOTH.into_iter().find(|http| http.as_str() == name);
        known.ok_or_else(|| format!("`{name}` is no version of HTTP").into())
    }

    /// Returns what an origin offers when this version is measured: what vendors do, or nothing
    /// newer.
    pub(crate) fn offer(self) -> &'static [Self] {
        match self {
            Self::One => &[Self::One],
            Self::Two => &[Self::Two, Self::One],
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::One => "h1",
            Self::Two => "h2",
        }
    }
}

/// A directory with what the processes agree on.
#[derive(Clone, Debug)]
pub(crate) struct World {
    directory: PathBuf,
}

impl World {
    /// Makes the certificate authorities, the origin's certificate and the credential.
    pub(crate) fn create(directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory)?;
        let world = Self { directory };
        for name in ["origin-ca", "proxy-ca"] {
            let (params, key) = authority(name)?;
            let certificate = params.self_signed(&key)?;
            world.write(&format!("{name}.pem"), &certificate.pem())?;
            world.write(&format!("{name}.key"), &key.serialize_pem())?;
        }
        let key = KeyPair::generate()?;
        let leaf = leaf()?.signed_by(&key, &world.issuer("origin-ca")?)?;
        world.write("origin.pem", &leaf.pem())?;
        world.write("origin.key", &key.serialize_pem())?;
        world.write("credential", &random_hex()?)?;
        Ok(world)
    }

    /// Opens the directory that another process made.
    pub(crate) fn open(directory: &str) -> Self {
        Self { directory: directory.into() }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.path(name))?)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path(name), text)?)
    }

    /// Returns the `Authorization` that the origin asks for.
    pub(crate) fn authorization(&self) -> Result<String> {
        Ok(format!("Bearer {}", self.read("credential")?))
    }

    pub(crate) fn issuer(&self, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let key = KeyPair::from_pem(&self.read(&format!("{name}.key"))?)?;
        Ok(Issuer::from_ca_cert_pem(&self.read(&format!("{name}.pem"))?, key)?)
    }

    /// Returns the TLS configuration of the origin, which speaks these versions and likes the first
    /// best.
    pub(crate) fn server(&self, offer: &[Http]) -> Result<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(self.path("origin.pem"))?];
        let key = PrivateKeyDer::from_pem_file(self.path("origin.key"))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = offer.iter().map(|http| http.alpn().to_vec()).collect();
        Ok(config)
    }

    /// Returns the TLS configuration of a client that trusts the origin and every proxy.
    pub(crate) fn client(&self, offer: &[Http], resumption: Resumption) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for name in ["origin-ca.pem", "proxy-ca.pem"] {
            roots.add(CertificateDer::from_pem_file(self.path(name))?)?;
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = offer.iter().map(|http| http.alpn().to_vec()).collect();
        config.resumption = resumption;
        Ok(config)
    }
}

/// Returns the cryptography of every rustls here, so that proxies differ in everything else.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn authority(name: &str) -> Result<(CertificateParams, KeyPair)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    Ok((params, KeyPair::generate()?))
}

fn leaf() -> Result<CertificateParams> {
    let mut params = CertificateParams::new([HOST.to_owned()])?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 20];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers to give")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
