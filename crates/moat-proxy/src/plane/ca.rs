//! The certificate authority of a run or of a proxy.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::plane::error::SetupError;

/// The longest life of a generated authority.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks of containers and machines differ.
pub(crate) const BACK_DATING: Duration = Duration::from_secs(3600);

/// Signs the leaf certificates that intercepted clients see.
///
/// The key stays in here; the container gets the certificate alone.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    not_after: OffsetDateTime,
}

impl CertificateAuthority {
    /// Generates a P-256 authority in memory, which is valid from an hour before `now` for at most
    /// seven days after it.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers to give.
    pub fn generate(now: OffsetDateTime, life: Duration) -> Result<Self, SetupError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| SetupError::new("cannot make the key of the CA").because(error))?;
        let serial = random_serial()?;
        let not_after = now + life.min(LONGEST_LIFE);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = authority_name(&serial);
        params.serial_number = Some(serial);
        params.not_before = now - BACK_DATING;
        params.not_after = not_after;
        let certificate = params
            .self_signed(&key)
            .map_err(|error| SetupError::new("cannot sign the CA").because(error))?;
        Ok(Self { certificate: certificate.into(), issuer: Issuer::new(params, key), not_after })
    }

    /// Loads an authority from its certificate and its key.
    ///
    /// # Errors
    ///
    /// When one cannot be read, they do not belong together, the certificate is not one of an
    /// authority, or it is not valid `now`.
    pub fn from_pem(certificate: &str, key: &str, now: OffsetDateTime) -> Result<Self, SetupError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| SetupError::new("the CA's certificate is not PEM").because(error))?;
        let key = KeyPair::from_pem(key)
            .map_err(|_| SetupError::new("the CA's key is not a PKCS#8 key in PEM"))?;
        let not_after = check(&certificate, &key, now)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| {
            SetupError::new("the CA's certificate cannot be used").because(error)
        })?;
        Ok(Self { issuer, certificate: certificate.into_owned(), not_after })
    }

    /// Returns the certificate, for the trust store of a container.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Returns the certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the private key, to be kept in a file that only its owner reads.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Returns when the authority ceases to be valid.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

/// Two authorities never share a name: issuer and serial identify a certificate, and clients that
/// saw a pair under another key refuse it.
fn authority_name(serial: &SerialNumber) -> DistinguishedName {
    let suffix: String = serial.to_bytes().iter().take(4).map(|b| format!("{b:02x}")).collect();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "moat");
    name.push(DnType::CommonName, format!("moat CA {suffix}"));
    name
}

/// Draws a positive serial number of 127 bits.
pub(crate) fn random_serial() -> Result<SerialNumber, SetupError> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SetupError::new("the system has no random numbers to give"))?;
    // Not negative, and of full length: DER would drop a zero byte at the start.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn check(
    certificate: &CertificateDer<'_>,
    key: &KeyPair,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, SetupError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| SetupError::new("the CA's certificate cannot be read"))?;
    if !parsed.is_ca() {
        return Err(SetupError::new("the CA's certificate is not that of an authority"));
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(SetupError::new("the CA's certificate and key do not belong together"));
    }
    let validity = parsed.validity();
    let not_after = validity.not_after.to_datetime();
    if now < validity.not_before.to_datetime() || now >= not_after {
        return Err(SetupError::new("the CA's certificate is not valid today"));
    }
    Ok(not_after)
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn an_authority_lives_a_week_at_most() {
        let ca = CertificateAuthority::generate(NOW, 30 * DAY).unwrap();
        assert_eq!(ca.not_after(), NOW + 7 * DAY);
    }

    #[test]
    fn a_saved_authority_can_be_loaded_while_it_is_valid() {
        let ca = CertificateAuthority::generate(NOW, DAY).unwrap();
        let (certificate, key) = (ca.certificate_pem(), ca.key_pem());
        let loaded = CertificateAuthority::from_pem(&certificate, &key, NOW).unwrap();
        assert_eq!(loaded.certificate(), ca.certificate());
        assert_eq!(loaded.not_after(), ca.not_after());
        assert!(CertificateAuthority::from_pem(&certificate, &key, NOW + DAY).is_err());
        assert!(CertificateAuthority::from_pem(&certificate, &key, NOW - DAY).is_err());
    }

    #[test]
    fn half_a_pair_is_an_error() {
        let (one, other) = (
            CertificateAuthority::generate(NOW, DAY).unwrap(),
            CertificateAuthority::generate(NOW, DAY).unwrap(),
        );
        let load = |certificate: &str, key: &str| {
            CertificateAuthority::from_pem(certificate, key, NOW).unwrap_err().to_string()
        };
        let mixed = load(&one.certificate_pem(), &other.key_pem());
        assert_eq!(mixed, "the CA's certificate and key do not belong together");
        load("", &one.key_pem());
        load(&one.certificate_pem(), "");
    }

    #[test]
    fn debug_shows_no_key() {
        let ca = CertificateAuthority::generate(NOW, DAY).unwrap();
        let debug = format!("{ca:?}");
        assert!(debug.starts_with("CertificateAuthority { not_after: 2026-01-03"), "{debug}");
        assert!(debug.ends_with(", .. }"), "{debug}");
    }
}
