//! Leaf certificates, minted for one host each and kept with their TLS configuration.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moat_provider_core::Clock;
use quick_cache::sync::Cache;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::Host;
use crate::plane::ca::{BACK_DATING, CertificateAuthority, random_serial};
use crate::plane::error::SetupError;

/// The life of a leaf, unless its authority ends before.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// A leaf with less left than this is minted anew.
const LEAST_LEFT: Duration = Duration::from_secs(3600);

/// Mints leaves of one authority and keeps them.
pub(crate) struct Leaves {
    authority: Arc<CertificateAuthority>,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    cache: Cache<Host, Leaf>,
    minted: AtomicU64,
}

#[derive(Clone)]
struct Leaf {
    config: Arc<ServerConfig>,
    renew_at: OffsetDateTime,
}

impl Leaves {
    pub(crate) fn new(
        authority: Arc<CertificateAuthority>,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
        capacity: usize,
    ) -> Self {
        Self { authority, provider, clock, cache: Cache::new(capacity), minted: AtomicU64::new(0) }
    }

    /// Returns the TLS configuration with a leaf for a host. Of several callers one mints, and the
    /// others wait for it (some 100 microseconds).
    pub(crate) fn config(&self, host: &Host) -> Result<Arc<ServerConfig>, SetupError> {
        let now = self.clock.now();
        if let Some(leaf) = self.cache.get(host) {
            if now < leaf.renew_at {
                return Ok(leaf.config);
            }
            self.cache.remove_if(host, |leaf| now >= leaf.renew_at);
        }
        self.cache.get_or_insert_with(host, || self.mint(host, now)).map(|leaf| leaf.config)
    }

    pub(crate) fn minted(&self) -> u64 {
        self.minted.load(Ordering::Relaxed)
    }

    pub(crate) fn cached(&self) -> usize {
        self.cache.len()
    }

    pub(crate) fn authority(&self) -> &Arc<CertificateAuthority> {
        &self.authority
    }

    fn mint(&self, host: &Host, now: OffsetDateTime) -> Result<Leaf, SetupError> {
        self.minted.fetch_add(1, Ordering::Relaxed);
        let failed = |error| SetupError::new("cannot mint a leaf certificate").because(error);
        let not_after = (now + LIFE).min(self.authority.not_after());
        let params = params(host, now, not_after)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.signed_by(&key, self.authority.issuer()).map_err(failed)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = server_config(&self.provider, vec![certificate.into()], key)
            .map_err(|error| SetupError::new("cannot use a leaf certificate").because(error))?;
        let left = Duration::try_from(not_after - now).unwrap_or_default();
        let renew_at = not_after - LEAST_LEFT.min(left / 2);
        Ok(Leaf { config: Arc::new(config), renew_at })
    }
}

fn params(
    host: &Host,
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, SetupError> {
    let mut params = CertificateParams::default();
    // Exactly one name, so that no client uses the connection for another host (RFC 9113, section
    // 9.1.1).
    params.subject_alt_names = vec![match host {
        Host::Address(ip) => SanType::IpAddress(*ip),
        Host::Name(name) => {
            SanType::DnsName(name.as_str().try_into().map_err(|error: rcgen::Error| {
                SetupError::new("the host has no form for a certificate").because(error)
            })?)
        }
    }];
    params.distinguished_name.remove(DnType::CommonName);
    // A common name has at most 64 characters (RFC 5280, upper bounds).
    let name = Some(host.bare()).filter(|name| name.len() <= 64).unwrap_or("moat leaf".into());
    params.distinguished_name.push(DnType::CommonName, &*name);
    // With this, the certificate has a subject key identifier too.
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = Some(random_serial()?);
    params.not_before = now - BACK_DATING;
    params.not_after = not_after;
    Ok(params)
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Stateless tickets under a key of this host's own: nothing is resumed at another host.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaves").field("authority", &self.authority).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use moat_provider_core::BoxFuture;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
    const HOUR: Duration = Duration::from_secs(3600);

    #[derive(Debug)]
    struct Set(Mutex<OffsetDateTime>);

    impl Clock for Set {
        fn now(&self) -> OffsetDateTime {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn leaves(life: Duration, capacity: usize) -> (Leaves, Arc<Set>) {
        let clock = Arc::new(Set(Mutex::new(NOW)));
        let ca = Arc::new(CertificateAuthority::generate(NOW, life).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        (Leaves::new(ca, provider, clock.clone(), capacity), clock)
    }

    fn host(text: &str) -> Host {
        Host::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_leaf_is_minted_once_and_again_before_it_expires() {
        let (leaves, clock) = leaves(240 * HOUR, 8);
        let config = || leaves.config(&host("a.example")).unwrap();
        let first = config();
        *clock.0.lock().unwrap() = NOW + 166 * HOUR;
        assert!(Arc::ptr_eq(&first, &config()));
        *clock.0.lock().unwrap() = NOW + 168 * HOUR - HOUR;
        assert!(!Arc::ptr_eq(&first, &config()));
        assert_eq!(leaves.minted(), 2);
    }

    #[test]
    fn of_many_threads_one_mints() {
        let (leaves, _) = leaves(24 * HOUR, 8);
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| leaves.config(&host("a.example")).unwrap());
            }
        });
        assert_eq!(leaves.minted(), 1);
    }

    #[test]
    fn the_cache_is_bounded() {
        let (leaves, _) = leaves(24 * HOUR, 8);
        for n in 0..64 {
            leaves.config(&host(&format!("h{n}.example"))).unwrap();
        }
        assert!(leaves.cached() <= 8, "{}", leaves.cached());
    }

    #[test]
    fn a_leaf_has_one_name_and_both_key_identifiers() {
        use x509_parser::prelude::*;
        for text in ["a.example", "[2001:db8::1]", "192.0.2.1", &format!("{}.x", "a".repeat(63))] {
            let host = host(text);
            let params = params(&host, NOW, NOW + HOUR).unwrap();
            let ca = CertificateAuthority::generate(NOW, HOUR).unwrap();
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            let der = params.signed_by(&key, ca.issuer()).unwrap();
            let (_, leaf) = parse_x509_certificate(der.der()).unwrap();
            let names = leaf.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 1);
            let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
                leaf.extensions().iter().any(|ext| wanted(ext.parsed_extension()))
            };
            assert!(has(|ext| matches!(ext, ParsedExtension::SubjectKeyIdentifier(_))));
            assert!(has(|ext| matches!(ext, ParsedExtension::AuthorityKeyIdentifier(_))));
            assert_eq!(leaf.validity().not_before.to_datetime(), NOW - HOUR);
            assert_eq!(leaf.raw_serial().len(), 16);
        }
    }
}
