//! Java, which reads neither PEM nor the variables of the proxy.

use moat_provider_core::ContainerPath;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry};
use rustls_pki_types::CertificateDer;

use crate::{Result, RunError, RunErrorKind};

/// Options that every Java virtual machine takes from its environment (JDK Tool Specification).
pub(super) const VARIABLE: &str = "JAVA_TOOL_OPTIONS";

/// The password of the trust store, which holds nothing secret. Without one, Java sees an empty
/// store.
const PASSWORD: &str = "changeit";

/// Returns the value of the variable: what was given, and ours.
pub(super) fn options(given: Option<&str>, store: &ContainerPath, host: &str, port: u16) -> String {
    let ours = format!(
        "-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStoreType=PKCS12 \
         -Djavax.net.ssl.trustStorePassword={PASSWORD} -Dhttps.proxyHost={host} \
         -Dhttps.proxyPort={port} -Dhttp.proxyHost={host} -Dhttp.proxyPort={port} \
         -Dhttp.nonProxyHosts=localhost|127.*|[::1]"
    );
    match given.filter(|given| !given.is_empty()) {
        Some(given) => format!("{given} {ours}"),
        None => ours,
    }
}

/// Makes a trust store in the format of PKCS #12 (RFC 7292).
pub(super) fn trust_store(certificates: &[CertificateDer<'_>]) -> Result<Vec<u8>> {
    let mut store = KeyStore::new();
    for (number, certificate) in certificates.iter().enumerate() {
        // What Java could not read either is left out.
        let Ok(certificate) = Certificate::from_der(certificate) else { continue };
        store.add_entry(&format!("authority-{number}"), KeyStoreEntry::Certificate(certificate));
    }
    store.writer(PASSWORD).write().map_err(|error| {
        RunError::new(RunErrorKind::Io, "Java's trust store cannot be made").with_source(error)
    })
}
