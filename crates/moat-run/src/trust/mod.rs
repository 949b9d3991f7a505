//! What makes every client in a container trust the authority of the run, and use its proxy.
//!
//! Clients agree neither on a variable nor on a file, so all of them are set. Each row of
//! [`VARIABLES`] says for which clients it is; the tests that start real clients are `cargo xtask
//! e2e`.

mod java;
mod no_proxy;

use std::collections::BTreeMap;

use bytes::Bytes;
use moat_provider_core::{ContainerPath, EnvVar, HostPattern, StagedFile};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::{Result, RunError, RunErrorKind};

/// A variable that names a file of trusted authorities, and the clients that read it.
///
/// Seen with the clients' versions in the book's page on clients, unless it says "by its
/// documentation".
pub const VARIABLES: &[(&str, &str)] = &[
    ("BUNDLE_SSL_CA_CERT", "Ruby's bundler, by its documentation"),
    ("CARGO_HTTP_CAINFO", "cargo, by its documentation"),
    ("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "gcloud, by its documentation"),
    ("CODEX_CA_CERTIFICATE", "codex"),
    ("CURL_CA_BUNDLE", "curl, Python's requests"),
    ("DENO_CERT", "Deno"),
    ("GIT_SSL_CAINFO", "git"),
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "gRPC, by its documentation"),
    ("NIX_SSL_CERT_FILE", "Nix and what it builds, by its documentation"),
    ("NODE_EXTRA_CA_CERTS", "Node, Bun, Deno, and the agents that run on them"),
    ("PIP_CERT", "pip"),
    ("REQUESTS_CA_BUNDLE", "Python's requests, the AWS command, boto3"),
    ("SSL_CERT_FILE", "OpenSSL, Go, Python's ssl and httpx, Ruby, uv, agents"),
    ("npm_config_cafile", "npm, which looks here only where it is configured"),
];

/// Variables that name the proxy. Programs read them in one case or the other.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Variables that name what is not sent to the proxy.
const NO_PROXIES: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// The variable that makes Node 24 and later look at those of the proxy.
const NODE: &str = "NODE_USE_ENV_PROXY";
/// The variable that names wget's settings.
const WGET: &str = "WGETRC";

/// Further variables that a run sets or must not be talked out of. Nothing sets `AWS_CA_BUNDLE`: where
/// it is set, the SDK for Go refuses to work with a program's own HTTP client.
const RESERVED: [&str; 7] =
    ["AWS_CA_BUNDLE", "BASH_ENV", "ENV", "HOME", "LD_AUDIT", "LD_PRELOAD", NODE];

/// Whether a variable belongs to the run, so that neither person nor provider sets it: those of
/// the proxy and of trust, those of moat, and those that make any program run other code.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.ends_with("_PROXY")
        || upper.starts_with("MOAT_")
        || upper == WGET
        || RESERVED.contains(&&*upper)
        || VARIABLES.iter().any(|(variable, _)| variable.eq_ignore_ascii_case(name))
}

/// Returns the names of the variables that [`Trust::stage`] sets.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let trust = VARIABLES.iter().map(|(variable, _)| *variable);
    trust.chain(PROXIES).chain(NO_PROXIES).chain([NODE, WGET, java::VARIABLE])
}

/// Returns what the host itself trusts, as PEM: what is not intercepted is verified with it.
///
/// # Errors
///
/// [`RunErrorKind::Io`] when nothing can be read.
pub fn host_roots() -> Result<String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let error =
            RunError::new(RunErrorKind::Io, "no trusted authorities are found on this machine")
                .with_hint("install the package ca-certificates, or set SSL_CERT_FILE");
        return Err(match found.errors.into_iter().next() {
            Some(cause) => error.with_source(cause),
            None => error,
        });
    }
    Ok(found.certs.iter().map(|certificate| pem(certificate)).collect())
}

/// Writes a certificate as PEM (RFC 7468).
fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// What is staged so that clients trust the authority of a run and use its proxy.
#[derive(Clone, Debug)]
pub struct Trust {
    directory: ContainerPath,
    /// Host and port of the proxy, as the container sees it.
    address: (String, u16),
    /// The URL of the proxy, with a token where that is how the run is known.
    proxy: String,
    no_proxy: Vec<String>,
    granted: Vec<HostPattern>,
    given: BTreeMap<String, String>,
}

/// The variables and files of [`Trust`].
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct StagedTrust {
    /// Variables, which replace those of the same name.
    pub env: Vec<EnvVar>,
    /// Files.
    pub files: Vec<StagedFile>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Trust {
    /// Begins with the directory in the container for files, and the host and port at which the
    /// container reaches the proxy.
    #[must_use]
    pub fn new(directory: ContainerPath, host: &str, port: u16) -> Self {
        Self {
            directory,
            address: (host.to_owned(), port),
            proxy: format!("http://{host}:{port}"),
            no_proxy: Vec::new(),
            granted: Vec::new(),
            given: BTreeMap::new(),
        }
    }

    /// Sets the URL of the proxy, where more than host and port stands in it.
    #[must_use]
    pub fn proxy_url(mut self, url: impl Into<String>) -> Self {
        self.proxy = url.into();
        self
    }

    /// Adds hosts that clients reach without the proxy. One that covers a host with a grant is
    /// dropped, since requests to it would go out without the credential, and named in a warning.
    #[must_use]
    pub fn no_proxy(
        mut self,
        entries: impl IntoIterator<Item = String>,
        granted: impl IntoIterator<Item = HostPattern>,
    ) -> Self {
        self.no_proxy.extend(entries);
        self.granted.extend(granted);
        self
    }

    /// Takes note of variables that are set already: options for a runtime are added to.
    #[must_use]
    pub fn given(mut self, env: impl IntoIterator<Item = EnvVar>) -> Self {
        self.given
            .extend(env.into_iter().map(|var| (var.name().to_owned(), var.value().to_owned())));
        self
    }

    /// Decides variables and files. `authority` is the certificate of the run's authority and
    /// `roots` what else is trusted, both as PEM.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::InvalidInput`] when one of them is not PEM.
    pub fn stage(self, authority: &str, roots: &str) -> Result<StagedTrust> {
        let bundle = self.directory.join("ca-bundle.pem")?;
        let mut files = vec![
            StagedFile::new(bundle.clone(), format!("{authority}{roots}")).mode(0o644),
            StagedFile::new(self.directory.join("ca.pem")?, authority.to_owned()).mode(0o644),
        ];
        let mut env = Vec::new();
        for (variable, _) in VARIABLES {
            env.push(EnvVar::new(*variable, bundle.as_str())?);
        }
        for variable in PROXIES {
            env.push(EnvVar::new(variable, &*self.proxy)?);
        }
        env.push(EnvVar::new(NODE, "1")?);
        let (no_proxy, warnings) = no_proxy::value(&self.no_proxy, &self.granted);
        for variable in NO_PROXIES {
            env.push(EnvVar::new(variable, &*no_proxy)?);
        }

        // GnuTLS's wget reads no variable that names authorities.
        let wgetrc = self.directory.join("wgetrc")?;
        files.push(
            StagedFile::new(wgetrc.clone(), format!("ca_certificate = {bundle}\n")).mode(0o644),
        );
        env.push(EnvVar::new(WGET, wgetrc.as_str())?);

        let store = self.directory.join("ca-bundle.p12")?;
        let certificates = certificates(&[authority, roots].concat())?;
        let contents = java::trust_store(&certificates)?;
        files.push(StagedFile::new(store.clone(), Bytes::from(contents)).mode(0o644));
        let given = self.given.get(java::VARIABLE).map(String::as_str);
        let (host, port) = (&*self.address.0, self.address.1);
        env.push(EnvVar::new(java::VARIABLE, java::options(given, &store, host, port))?);
        Ok(StagedTrust { env, files, warnings })
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|error| {
        RunError::new(RunErrorKind::InvalidInput, "the trusted authorities are not PEM")
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_a_run_sets_is_reserved() {
        let reserved =
            ["HTTPS_PROXY", "all_proxy", "Ssl_Cert_File", "MOAT_RUN", "LD_PRELOAD", "HOME"];
        assert!(reserved.into_iter().all(is_reserved));
        assert!(
            !["PATH", "GH_TOKEN", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS"].into_iter().any(is_reserved)
        );
    }

    #[test]
    fn every_variable_leads_to_one_bundle_with_both_kinds_of_authorities() {
        let (run, host) = (authority(), authority());
        let trust = Trust::new("/run/moat".parse().unwrap(), "127.0.0.1", 3128)
            .given([EnvVar::new(java::VARIABLE, "-Xmx1g").unwrap()]);
        let staged = trust.stage(&run, &host).unwrap();
        let value = |name: &str| {
            staged.env.iter().find(|var| var.name() == name).unwrap().value().to_owned()
        };
        for (variable, _) in VARIABLES {
            assert_eq!(value(variable), "/run/moat/ca-bundle.pem");
            assert!(is_reserved(variable));
        }
        for variable in PROXIES {
            assert_eq!(value(variable), "http://127.0.0.1:3128");
        }
        let set: BTreeSet<_> = staged.env.iter().map(EnvVar::name).collect();
        assert_eq!(set, names().collect());
        assert!(value(java::VARIABLE).starts_with("-Xmx1g -Djavax.net.ssl.trustStore="));
        let bundle = String::from_utf8(staged.files[0].contents().to_vec()).unwrap();
        assert_eq!(certificates(&bundle).unwrap().len(), 2);
        assert!(bundle.starts_with(&run) && bundle.ends_with(&host));
    }

    #[test]
    fn this_machine_trusts_somebody() {
        assert!(!certificates(&host_roots().unwrap()).unwrap().is_empty());
    }

    fn authority() -> String {
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let day = std::time::Duration::from_secs(24 * 3600);
        moat_proxy::plane::CertificateAuthority::generate(now, day).unwrap().certificate_pem()
    }
}
