//! A vendor, a provider that is an agent as well, and a client in the place of a container.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use moat_provider_core::*;
use moat_provider_testkit::{Canary, Ports, VendorDouble, json, requires_bearer};
use moat_proxy::plane::UpstreamTls;
use moat_run::{ContainerSpec, RunRequest, Runner, StateDir, Way};
use moat_store::{CredentialStore, Expect, MemoryStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

pub(crate) const HOST: &str = "api.toy.test";
static NAME: ProviderName = ProviderName::from_static("toy");

/// Grants for one host, and an agent that says what it was told.
#[derive(Debug)]
pub(crate) struct Toy;

impl Provider for Toy {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        Some(self)
    }
}

fn placeholder(key: &CredentialKey, run: &RunContext) -> Result<Placeholder> {
    run.placeholder(key, "token", &PlaceholderShape::prefixed("toy_", Alphabet::Alphanumeric, 32))
}

impl CredentialProvider for Toy {
    fn check_qualifier(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn grant<'a>(
        &'a self,
        _: &'a GrantContext,
        _: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        unreachable!("no test grants")
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let key = credential.key();
        let target = Target::host(HOST)?;
        let rule = CredentialRule::new(
            target,
            AUTHORIZATION,
            HeaderTemplate::Bearer,
            SecretRef::token(key),
        );
        let fill = match run.grants().len() == 1 || run.is_default(key) {
            true => Fill::EmptyOrPlaceholder,
            false if key.qualifier() == Some("greedy") => Fill::EmptyOrPlaceholder,
            false => Fill::PlaceholderOnly,
        };
        proxy.credential(rule.placeholder(placeholder(key, run)?).fill(fill));
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("the vendor issues nothing"))
    }

    fn container_env(&self, all: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
        let first = placeholder(all[0].key(), run)?;
        Ok(vec![EnvVar::new("TOY_TOKEN", first.as_str())?])
    }

    fn container_mounts(&self, _: &[&CredentialInfo], run: &RunContext) -> Result<ContainerMounts> {
        let mut mounts = ContainerMounts::default();
        mounts.files.push(StagedFile::new(run.home().join(".toy/config")?, "[toy]\n"));
        mounts.mounts.push(MountConfig::new(
            MountSource::PrivateToWorkspace("toy-history".into()),
            run.home().join(".toy/history")?,
            MountAccess::ReadWrite,
        ));
        Ok(mounts)
    }
}

impl AgentProvider for Toy {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        let own = |key: &&CredentialKey| *key.provider() == NAME;
        Ok(named.iter().chain(stored).find(own).into_iter().cloned().collect())
    }

    fn prepare_container<'a>(
        &'a self,
        _: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async {
            let mut config = ContainerConfig::default();
            config.env.push(EnvVar::new("TOY_AGENT", "1")?);
            config.state.insert("session".into(), format!("of-{}", opts.run.id()));
            Ok(config)
        })
    }

    fn command(&self, launch: &Launch, _: &ContainerConfig) -> Result<Vec<String>> {
        let prompt = launch.prompt.clone().unwrap_or_default();
        Ok(vec!["toy".into(), "--".into(), prompt])
    }
}

impl RunStoppedHook for Toy {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async { Ok(run.state.clone()) })
    }
}

/// A host with a vendor on loopback.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) runner: Runner,
    pub(crate) directory: TempDir,
    pub(crate) vendor: VendorDouble,
}

impl World {
    /// Makes a host whose vendor accepts one token.
    pub(crate) fn new(accepted: &Canary) -> Self {
        Self::with(accepted, |_| ())
    }

    /// The same, with further providers.
    pub(crate) fn with(accepted: &Canary, further: impl FnOnce(&mut RegistryBuilder)) -> Self {
        let answers =
            |_: &http::Request<bytes::Bytes>| json(200, &serde_json::json!({"me": "toy"}));
        let vendor = VendorDouble::https(requires_bearer(&accepted.secret(), answers), [HOST]);
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("work")).unwrap();
        let store = MemoryStore::new();
        let mut registry = Registry::builder();
        registry.register(Toy).unwrap();
        further(&mut registry);
        let port = vendor.address().port();
        let trust = UpstreamTls::empty().trust_pem(vendor.authority_pem().unwrap().as_bytes());
        let ports = Ports::new().relaxed().host_context();
        let cx = HostContext::builder(Arc::new(RealClock), Arc::clone(ports.entropy()))
            .files(Arc::clone(ports.files()))
            .build();
        let state = StateDir::new(directory.path().join("state"));
        let runner = Runner::builder(registry.build(), Arc::new(store.clone()), cx, state)
            .connect_to([format!("{HOST}:443:127.0.0.1:{port}").parse().unwrap()])
            .upstream_tls(trust.unwrap())
            .build();
        Self { store, runner, directory, vendor }
    }

    pub(crate) async fn grant(&self, key: &str, token: &Canary) {
        let credential = Credential::builder(key.parse().unwrap(), token.secret(), RealClock.now());
        self.store.save(&credential.build(), Expect::Anything).await.unwrap();
    }

    pub(crate) fn request(&self, grants: &[&str]) -> RunRequest {
        let mut request = RunRequest::new(self.directory.path().join("work"), vec!["true".into()]);
        request.grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        request
    }
}

/// Returns a variable of a container.
pub(crate) fn var<'s>(spec: &'s ContainerSpec, name: &str) -> &'s str {
    spec.env.iter().find(|var| var.name() == name).unwrap_or_else(|| panic!("{name}")).value()
}

/// Returns what a container finds at a path: the file behind its binds.
pub(crate) fn read(spec: &ContainerSpec, path: &str) -> String {
    let bind = spec.binds.iter().rev().find_map(|bind| {
        let rest = path.strip_prefix(bind.target.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| (bind, rest.trim_start_matches('/')))
    });
    let (bind, rest) = bind.unwrap_or_else(|| panic!("nothing is bound at {path}"));
    let file = if rest.is_empty() { bind.source.clone() } else { bind.source.join(rest) };
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Asks the vendor for something as a client in the container does.
pub(crate) async fn ask(spec: &ContainerSpec, authorization: Option<&str>) -> String {
    let Way::Socket { path, .. } = &spec.way else { panic!("there is no socket") };
    let mut socket = UnixStream::connect(path).await.unwrap();
    let connect = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
    socket.write_all(connect.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    if !answer.starts_with("HTTP/1.1 200") {
        return answer;
    }
    exchange(tls(spec, socket).await, authorization).await
}

async fn tls(spec: &ContainerSpec, socket: UnixStream) -> impl AsyncRead + AsyncWrite + Unpin {
    let mut roots = RootCertStore::empty();
    let bundle = read(spec, var(spec, "SSL_CERT_FILE"));
    let first = CertificateDer::pem_slice_iter(bundle.as_bytes()).next().unwrap().unwrap();
    roots.add(first).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    authorization: Option<&str>,
) -> String {
    let field =
        authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let head = format!("GET /me HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{field}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Fails when anything that a container can read holds the token.
pub(crate) fn assert_no_leak(spec: &ContainerSpec, token: &Canary) {
    assert_eq!(token.find_in_str(&format!("{spec:?}")), None);
    for bind in &spec.binds {
        walk(&bind.source, &mut |path, text| {
            assert_eq!(token.find_in(text), None, "{}", path.display());
        });
    }
}

fn walk(path: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), look);
        }
    } else if path.is_file() {
        look(path, &std::fs::read(path).unwrap());
    }
}

#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[allow(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
