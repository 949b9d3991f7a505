//! Which authorities a vendor's certificate may come from.

use std::path::Path;
use std::sync::Arc;

use moat_provider_core::{Error, ErrorKind, Result, escape_line};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::bounded::{Bounded, MAX_TEXT, read_bounded};

/// Sessions that are kept for resumption.
const SESSIONS: usize = 64;

/// What is trusted beside nothing.
#[derive(Debug)]
pub(super) struct Trust {
    roots: RootCertStore,
}

impl Trust {
    pub(super) fn nothing() -> Self {
        Self { roots: RootCertStore::empty() }
    }

    /// Adds what the system trusts.
    pub(super) fn add_system(&mut self) -> Result<()> {
        let loaded = rustls_native_certs::load_native_certs();
        let (added, _) = self.roots.add_parsable_certificates(loaded.certs);
        if added > 0 || !self.roots.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Io, "the system trusts no certificate authority")
            .with_hint("install the system's package ca-certificates, or pass --upstream-ca FILE");
        Err(match loaded.errors.into_iter().next() {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }

    /// Adds the authorities of a PEM file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<()> {
        let shown = path.to_string_lossy();
        let shown = escape_line(&shown);
        let hint = "pass a file with the authority's certificate in PEM: --upstream-ca FILE";
        let unreadable = |error| {
            Error::new(ErrorKind::Io, format!("{shown} cannot be read"))
                .with_hint(hint)
                .with_source(error)
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let odd = |what: &str| Error::invalid(format!("{shown} {what}")).with_hint(hint);
        match read_bounded(file, MAX_TEXT).map_err(unreadable)? {
            Bounded::Whole(bytes) => self.add_pem(bytes.as_slice(), odd),
            Bounded::TooLong => Err(odd("is longer than 1 MiB")),
        }
    }

    fn add_pem(&mut self, pem: &[u8], odd: impl Fn(&str) -> Error) -> Result<()> {
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| match error {
                pem::Error::NoItemsFound => odd("holds no certificate in PEM"),
                _ => odd("is not valid PEM"),
            })?;
            self.roots.add(certificate).map_err(|error| {
                odd("holds a certificate that cannot be used").with_source(error)
            })?;
            count += 1;
        }
        if count == 0 { Err(odd("holds no certificate in PEM")) } else { Ok(()) }
    }

    /// Makes the configuration of TLS. The provider is passed: a default of the process belongs to
    /// the program that this library is part of.
    pub(super) fn into_config(self) -> Result<Arc<ClientConfig>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Error::new(ErrorKind::Unsupported, "TLS cannot be set up")
                    .with_hint("report a bug")
                    .with_source(error)
            })?;
        let mut config = builder.with_root_certificates(self.roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(contents: &[u8]) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(contents).unwrap();
        let read = Trust::nothing().add_file(file.path());
        read.inspect_err(|error| {
            let path = file.path().to_str().unwrap();
            assert!(error.message().starts_with(path), "{error}");
            assert!(error.hint().unwrap().contains("--upstream-ca FILE"));
        })
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        for (contents, what) in [
            (&b""[..], "holds no certificate"),
            (b"nothing", "holds no certificate"),
            (b"-----BEGIN CERTIFICATE-----\n", "is not valid PEM"),
            (b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "is not valid PEM"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used"),
            (&vec![b'\n'; MAX_TEXT + 1], "longer than 1 MiB"),
        ] {
            let error = read(contents).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(what), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Trust::nothing().add_file(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.message(), "/nowhere/ca.pem cannot be read");
    }
}
