//! From a request to a container that is ready to be started: design order, each step undone when a
//! later one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{
    AgentProvider, ContainerConfig, ContainerMounts, ContainerPath, Credential, CredentialInfo,
    CredentialKey, Entropy, EnvVar, MountAccess, PlaceholderKey, PrepareOpts, ProxyRules,
    RunContext, Secret, Staging,
};
use moat_proxy::AddressPolicy;
use moat_proxy::plane::{
    CertificateAuthority, Proxy, RecordFile, Recorder, RunRegistration, channel,
    raise_descriptor_limit,
};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::grants;
use crate::leak::LeakSearch;
use crate::live::{self, Live};
use crate::metadata::RunMetadata;
use crate::request::{Home, Place, RunRequest};
use crate::rules::{Credentials, RuleBook};
use crate::run::{Listener, Run, Serving, UpToDate};
use crate::runner::{Inner, Runner};
use crate::sandbox::VISITS_SOCKET;
use crate::spec::{Bind, ContainerSpec, Way};
use crate::stage::Stage;
use crate::state::{RunDir, StateDir, failed, private_dir};
use crate::trust::{self, Trust};
use crate::watched::Watched;
use crate::{Result, RunError, RunErrorKind, git, links};

/// How long the authority of a run is valid.
const AUTHORITY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Records that may wait for the disk.
const RECORDS: usize = 4096;
/// Where what we stage for ourselves appears in a container.
const OWN_DIRECTORY: &str = "/run/moat";

impl Runner {
    /// Prepares a run: credentials fresh, rules in force, everything staged and searched for
    /// secrets. What is left to do is to start a container from [`Run::spec`].
    ///
    /// The proxy serves the run from now on. When the returned value is dropped, it does so no
    /// more.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::Grants`] with all grants that cannot be used;
    /// [`RunErrorKind::Conflict`] when two of them claim the same;
    /// [`RunErrorKind::Leak`] when a secret would go into the container;
    /// [`RunErrorKind::InvalidInput`] and [`RunErrorKind::Io`].
    pub async fn prepare(&self, request: RunRequest) -> Result<Run> {
        self.clean_up().await;
        Preparation::begin(&self.0, request)?.finish().await
    }
}

/// A run on its way to being ready.
struct Preparation {
    host: Arc<Inner>,
    request: RunRequest,
    dir: RunDir,
    layout: Layout,
    warnings: Vec<String>,
}

/// Where things are: for the host, and in the container.
struct Layout {
    home: (PathBuf, ContainerPath),
    workspace: ContainerPath,
    /// The directory of what we stage for ourselves.
    own: ContainerPath,
}

impl Preparation {
    fn begin(host: &Arc<Inner>, mut request: RunRequest) -> Result<Self> {
        let workspace = workspace(&request.workspace)?;
        if !host.state.is_apart(&request.workspace) {
            return Err(holds_state("a workspace", &request.workspace, &host.state)
                .with_hint("cd into a project, or name one with --workspace"));
        }
        for bind in &mut request.binds {
            bind.source = links::followed(&bind.source, &request.workspace)?;
        }
        if let Some(bind) = request.binds.iter().find(|bind| !host.state.is_apart(&bind.source)) {
            return Err(holds_state("a mount", &bind.source, &host.state)
                .with_hint("mount a directory that the sandbox needs"));
        }
        let dir = RunDir::create(&host.state, &**host.cx.entropy())?;
        let home = match request.home {
            Home::Private => dir.stage().join("home"),
            Home::KeptForWorkspace => host.state.of_workspace(&request.workspace, "home")?,
        };
        private_dir(&home)?;
        let layout = match &request.place {
            Place::Container { home: inside, .. } => {
                Layout { home: (home, inside.clone()), workspace, own: OWN_DIRECTORY.parse()? }
            }
            Place::Host => Layout {
                home: (home.clone(), container_path(&home)?),
                workspace,
                own: container_path(&dir.stage())?,
            },
        };
        let host = Arc::clone(host);
        Ok(Self { host, request, dir, layout, warnings: Vec::new() })
    }

    async fn finish(mut self) -> Result<Run> {
        // Descriptors are what a busy proxy runs out of first.
        _ = raise_descriptor_limit();
        let (keys, defaults) = self.chosen().await?;
        let host = Arc::clone(&self.host);
        let watched = live::watch(&host.refresher, &keys).await.map_err(RunError::of_grants)?;
        let infos: Vec<_> = watched.iter().filter_map(|it| it.snapshot().info().cloned()).collect();

        let entropy = &**host.cx.entropy();
        let placeholders = PlaceholderKey::generate(entropy)?;
        let entrance = self.open(entropy).await?;
        let port = entrance.way.port();
        let context = self.context(&infos, &defaults, placeholders.clone(), port).await?;
        let live = Live::begin(&host.registry, &host.refresher, &context, watched).await;
        let live = live.map_err(RunError::of_grants)?;
        let agent = self.prepare_agent(&context, &infos, live.stored()).await?;

        let now = host.cx.clock().now();
        let authority = Arc::new(CertificateAuthority::generate(now, AUTHORITY_LIFE)?);
        let (recorder, records) = channel(RECORDS);
        let proxy = self.proxy(&authority, recorder)?;
        let book = RuleBook {
            registry: host.registry.clone(),
            context: Arc::clone(&context),
            placeholders,
            clock: Arc::clone(host.cx.clock()),
            policy: self.request.policy.clone(),
            addresses: self.addresses(entrance.address),
            agent_rules: agent.rules.clone(),
            revocations: keys.iter().map(|key| (key.clone(), CancellationToken::new())).collect(),
            sources: live.sources(),
        };
        let credentials = live.credentials();
        let stated = book.stated(&credentials)?;
        let rules = Arc::new(book.rules(&credentials, live.keeper(), None)?);
        let registration = RunRegistration::new(self.dir.id().clone(), Arc::clone(&rules) as _)
            .sample_bodies(self.request.sample_bodies);
        // The rules are in force before anybody has the token (law L5).
        let handle = proxy.register(match &entrance.token {
            Some(token) => registration.token(token),
            None => registration,
        })?;

        let mut staging = self.staging(&context, &credentials.infos, &agent)?;
        self.stage_git(&context, &stated, &mut staging).await?;
        let trusted = self.stage_trust(&mut staging, &entrance, &authority, &stated)?;
        let spec = self.spec(&context, &staging, trusted, &agent, entrance.way)?;
        self.search(&spec, &staging, &credentials)?;

        let mut metadata = RunMetadata::new(self.dir.id().clone(), &self.request.workspace, now);
        metadata.grants = keys.iter().map(ToString::to_string).collect();
        metadata.agent = self.request.agent.as_ref().map(|it| it.provider.name().to_string());
        metadata.command.clone_from(&spec.command);
        metadata.options.clone_from(&self.request.options);
        metadata.variables = self.request.env.iter().map(|var| var.name().to_owned()).collect();
        metadata.sandbox.clone_from(&self.request.sandbox_name);
        metadata.agent_state = agent.state;
        if !self.request.command.is_empty() {
            metadata.forget_session();
        }
        if let Way::Socket { path, .. } = &spec.way {
            metadata.visits = Some(path.with_file_name(VISITS_SOCKET));
        }
        metadata.write(self.dir.path())?;

        let requests = self.dir.path().join("requests.jsonl");
        let file = RecordFile::open(&requests).map_err(|error| failed("open", &requests, error))?;
        let up_to_date = UpToDate { live, book, rules };
        let (serving, notices) =
            Serving::begin(proxy, handle, entrance.listener, (records, file), up_to_date);
        let watched = Watched::look(&self.request.workspace);
        let Self { host, dir, warnings, .. } = self;
        Ok(Run { host, dir, metadata, spec, warnings, notices, serving, watched, context })
    }

    /// Chooses the grants; an agent chooses its own from those that are named and stored.
    async fn chosen(&self) -> Result<(Vec<CredentialKey>, Vec<CredentialKey>)> {
        let registry = &self.host.registry;
        let (mut keys, problems) = grants::resolve(registry, &self.request.grants);
        if !problems.is_empty() {
            return Err(RunError::of_grants(problems));
        }
        if let Some(agent) = self.agent_provider()? {
            let stored = self.host.store.list().await?;
            let stored: Vec<_> = stored.into_iter().map(|entry| entry.key).collect();
            for key in agent.select_grants(&keys, &stored)? {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        let defaults = grants::defaults(registry, &self.request.defaults)?;
        if let Some(stranger) = defaults.iter().find(|key| !keys.contains(key)) {
            return Err(RunError::new(
                RunErrorKind::InvalidInput,
                format!("{stranger} is to be the default, and is no grant of this run"),
            )
            .with_hint(format!("--grant {stranger}")));
        }
        Ok((keys, defaults))
    }

    fn agent_provider(&self) -> Result<Option<&dyn AgentProvider>> {
        let Some(agent) = &self.request.agent else { return Ok(None) };
        agent.provider.as_agent().map(Some).ok_or_else(|| {
            let name = agent.provider.name();
            RunError::new(RunErrorKind::InvalidInput, format!("{name} is no agent"))
        })
    }

    /// Opens the way of the run to the proxy.
    async fn open(&self, entropy: &dyn Entropy) -> Result<Entrance> {
        match self.request.place {
            Place::Container { port, .. } => {
                let path = self.dir.socket();
                let listener = listen(&path).map_err(|error| failed("listen at", &path, error))?;
                Ok(Entrance {
                    way: Way::Socket { path, port },
                    listener: Listener::Unix(listener),
                    token: None,
                    address: None,
                })
            }
            Place::Host => {
                let port = self.request.port.map_or(0, NonZeroU16::get);
                let bound = TcpListener::bind(("127.0.0.1", port)).await;
                let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
                let (address, listener) = bound.map_err(|error| {
                    let at = if port == 0 { String::new() } else { format!(":{port}") };
                    let message = format!("cannot listen at 127.0.0.1{at}");
                    RunError::new(RunErrorKind::Io, message)
                        .with_hint("choose another port, or leave out --port")
                        .with_source(error)
                })?;
                Ok(Entrance {
                    way: Way::Port(address.port()),
                    listener: Listener::Tcp(listener),
                    token: Some(draw_token(entropy)?),
                    address: Some(address),
                })
            }
        }
    }

    fn proxy(&self, authority: &Arc<CertificateAuthority>, recorder: Recorder) -> Result<Proxy> {
        let upstream = self.host.upstream.clone();
        let clock = Arc::clone(self.host.cx.clock());
        let mut proxy = Proxy::builder(clock, Arc::clone(authority)).recorder(recorder);
        for rule in upstream.connect_to {
            proxy = proxy.connect_to(rule);
        }
        if let Some(tls) = upstream.tls {
            proxy = proxy.upstream_tls(tls);
        }
        if let Some(other) = upstream.proxy {
            proxy = proxy.upstream_proxy(other);
        }
        if let Some(resolver) = upstream.resolver {
            proxy = proxy.resolver(resolver);
        }
        if let Some(dialer) = upstream.dialer {
            proxy = proxy.dialer(dialer);
        }
        Ok(proxy.build()?)
    }

    fn addresses(&self, listener: Option<SocketAddr>) -> AddressPolicy {
        let own = if_addrs::get_if_addrs().unwrap_or_default();
        AddressPolicy::new(&self.request.policy)
            .listeners(listener)
            .own_addresses(own.into_iter().map(|interface| interface.ip()))
    }

    async fn context(
        &self,
        infos: &[CredentialInfo],
        defaults: &[CredentialKey],
        placeholders: PlaceholderKey,
        port: u16,
    ) -> Result<Arc<RunContext>> {
        let (_, home) = &self.layout.home;
        let mut context = RunContext::builder(self.dir.id().clone(), home.clone(), placeholders)
            .workspace(self.layout.workspace.clone())
            .endpoint_base(format!("http://127.0.0.1:{port}"));
        for info in infos {
            context = context.grant(info.clone());
            let provider = self.host.registry.require(info.key().provider().as_str())?;
            let files = provider.as_credential().map_or(&[][..], |grants| grants.host_files());
            for file in files {
                if let Some(contents) = self.host.cx.files().read(file).await? {
                    context = context.host_file(file, contents);
                }
            }
        }
        for key in defaults {
            context = context.default_grant(key.clone());
        }
        Ok(Arc::new(context.build()))
    }

    async fn prepare_agent(
        &self,
        context: &Arc<RunContext>,
        infos: &[CredentialInfo],
        stored: Vec<Credential>,
    ) -> Result<ContainerConfig> {
        let Some(agent) = self.agent_provider()? else { return Ok(ContainerConfig::default()) };
        let mut opts = PrepareOpts::new(Arc::clone(context), stored);
        opts.mcp_servers.clone_from(&self.request.mcp_servers);
        opts.host_config.clone_from(&self.request.host_config);
        opts.runtime_context.clone_from(&self.request.runtime_context);
        opts.variables = self.variables(context, infos)?;
        if let Some(start) = &self.request.agent {
            opts.session.clone_from(&start.launch.session);
        }
        Ok(agent.prepare_container(&self.host.cx, &opts).await?)
    }

    /// Returns the names of the variables that the container has, whichever agent is in it.
    fn variables(&self, context: &RunContext, infos: &[CredentialInfo]) -> Result<Vec<String>> {
        let staging = self.staging(context, infos, &ContainerConfig::default())?;
        let set = staging.env().chain(&self.request.env).map(|var| var.name().to_owned());
        let names: BTreeSet<_> = set.chain(trust::names().map(str::to_owned)).collect();
        Ok(names.into_iter().collect())
    }

    /// Collects what every provider wants in the container.
    fn staging(
        &self,
        context: &RunContext,
        infos: &[CredentialInfo],
        agent: &ContainerConfig,
    ) -> Result<Staging> {
        let mut staging = Staging::default();
        let mut seen = Vec::new();
        for info in infos {
            let name = info.key().provider();
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let provider = self.host.registry.require(name.as_str())?;
            let Some(grants) = provider.as_credential() else { continue };
            let own: Vec<_> = infos.iter().filter(|it| it.key().provider() == name).collect();
            staging.add_env(info.key(), grants.container_env(&own, context)?)?;
            staging.add_mounts(info.key(), grants.container_mounts(&own, context)?)?;
        }
        if let Some(launch) = &self.request.agent {
            let owner = CredentialKey::new(launch.provider.name().clone());
            staging.add_env(&owner, agent.env.iter().cloned())?;
            let mut mounts = ContainerMounts::default();
            mounts.files.clone_from(&agent.files);
            mounts.mounts.clone_from(&agent.mounts);
            staging.add_mounts(&owner, mounts)?;
        }
        let mut own = ContainerMounts::default();
        own.files.clone_from(&self.request.files);
        staging.add_mounts(&host_owner()?, own)?;
        Ok(staging)
    }

    /// Stages git's configuration, unless somebody else has.
    async fn stage_git(
        &self,
        context: &RunContext,
        stated: &ProxyRules,
        staging: &mut Staging,
    ) -> Result<()> {
        let personal = git::personal(&self.host.cx).await;
        let logins = git::logins(stated);
        let file = git::stage(context.home(), context.workspace(), personal.as_ref(), &logins)?;
        if staging.files().any(|other| other.path() == file.path()) {
            return Ok(());
        }
        let mut own = ContainerMounts::default();
        own.files.push(file);
        Ok(staging.add_mounts(&host_owner()?, own)?)
    }

    /// Stages the authority of the run, and returns what makes clients trust it.
    fn stage_trust(
        &mut self,
        staging: &mut Staging,
        entrance: &Entrance,
        authority: &CertificateAuthority,
        stated: &ProxyRules,
    ) -> Result<Vec<EnvVar>> {
        let granted = stated.targets().map(|target| target.host_pattern().clone());
        let given = staging.env().cloned().chain(self.request.env.iter().cloned());
        let trust = Trust::new(self.layout.own.clone(), "127.0.0.1", entrance.way.port())
            .no_proxy(self.request.no_proxy.iter().cloned(), granted)
            .given(given);
        let trust = match &entrance.token {
            Some(token) => trust.proxy_url(proxy_url(token, entrance.way.port())),
            None => trust,
        };
        let roots = [trust::host_roots()?, self.host.upstream.trusted.clone()].concat();
        let staged = trust.stage(&authority.certificate_pem(), &roots)?;
        self.warnings.extend(staged.warnings);
        let mut files = ContainerMounts::default();
        files.files = staged.files;
        staging.add_mounts(&host_owner()?, files)?;
        Ok(staged.env)
    }

    /// Puts the container together.
    fn spec(
        &self,
        context: &RunContext,
        staging: &Staging,
        trusted: Vec<EnvVar>,
        agent: &ContainerConfig,
        way: Way,
    ) -> Result<ContainerSpec> {
        let stage = Stage {
            directory: self.dir.stage(),
            state: &self.host.state,
            workspace: &self.request.workspace,
            home: self.layout.home.clone(),
            place: &self.request.place,
        };
        let mut binds = vec![
            bind(&self.layout.home.0, &self.layout.home.1),
            bind(&self.request.workspace, &self.layout.workspace),
        ];
        binds.extend(stage.write(staging)?);
        binds.extend(self.request.binds.iter().cloned());
        let command = match (&self.request.agent, self.agent_provider()?) {
            (Some(launch), Some(provider)) if self.request.command.is_empty() => {
                provider.command(&launch.launch, agent)?
            }
            _ => self.request.command.clone(),
        };
        let (id, home) = (self.dir.id().clone(), self.layout.home.1.clone());
        let mut spec = ContainerSpec::new(id, home, command, way);
        spec.env = self.environment(context, staging, trusted)?;
        spec.binds = binds;
        spec.workdir = self.layout.workspace.clone();
        spec.publish.clone_from(&self.request.publish);
        spec.stdio = self.request.stdio;
        Ok(spec)
    }

    fn environment(
        &self,
        context: &RunContext,
        staging: &Staging,
        trusted: Vec<EnvVar>,
    ) -> Result<Vec<EnvVar>> {
        let mut env: BTreeMap<String, EnvVar> = BTreeMap::new();
        let mut put = |var: EnvVar| {
            env.insert(var.name().to_owned(), var);
        };
        self.request.ambient.iter().cloned().for_each(&mut put);
        put(EnvVar::new("HOME", context.home().as_str())?);
        put(EnvVar::new("MOAT_RUN", context.id().as_str())?);
        staging.env().cloned().for_each(&mut put);
        for var in &self.request.env {
            if trust::is_reserved(var.name()) {
                return Err(RunError::new(
                    RunErrorKind::InvalidInput,
                    format!("the variable {} is set by the run itself", var.name()),
                ));
            }
            put(var.clone());
        }
        trusted.into_iter().for_each(&mut put);
        Ok(env.into_values().collect())
    }

    /// Looks everything over once more (law L2).
    fn search(
        &mut self,
        spec: &ContainerSpec,
        staging: &Staging,
        credentials: &Credentials,
    ) -> Result<()> {
        let search = LeakSearch::new(&credentials.secrets)?;
        for var in &spec.env {
            search.check(&format!("the variable {}", var.name()), var.value().as_bytes())?;
        }
        for argument in &spec.command {
            search.check("the command", argument.as_bytes())?;
        }
        for file in staging.files() {
            search.check(&format!("the file {}", file.path()), file.contents())?;
        }
        for (path, secret) in search.in_workspace(&self.request.workspace) {
            let path = path.display();
            self.warnings
                .push(format!("{path} holds the secret {secret}: the sandbox can read it"));
        }
        Ok(())
    }
}

/// How clients of the run come in.
struct Entrance {
    way: Way,
    listener: Listener,
    /// What names the run, where the way does not.
    token: Option<Secret>,
    address: Option<SocketAddr>,
}

/// Listens at the socket of a run, for this user alone. Its directory keeps others out already.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn bind(source: &Path, target: &ContainerPath) -> Bind {
    Bind { source: source.to_owned(), target: target.clone(), access: MountAccess::ReadWrite }
}

/// Who stages what belongs to no provider.
fn host_owner() -> Result<CredentialKey> {
    Ok("moat".parse()?)
}

/// Returns where a workspace appears: under its own path.
fn workspace(path: &Path) -> Result<ContainerPath> {
    let invalid = |why: String| RunError::new(RunErrorKind::InvalidInput, why);
    if !path.is_dir() {
        return Err(invalid(format!("the workspace {} is no directory", path.display())));
    }
    let taken = ["/usr", "/etc", "/proc", "/sys", "/dev", "/run", "/bin", "/lib", "/sbin", "/boot"];
    if path == Path::new("/") || taken.iter().any(|taken| path.starts_with(taken)) {
        return Err(invalid(format!("{} cannot be a workspace", path.display()))
            .with_hint("cd into a project, or name one with --workspace"));
    }
    container_path(path)
}

/// Makes the error about a path by which the container would reach what the host keeps.
fn holds_state(what: &str, path: &Path, state: &StateDir) -> RunError {
    let (path, state) = (path.display(), state.path().display());
    RunError::new(
        RunErrorKind::InvalidInput,
        format!("{path} cannot be {what}: moat keeps credentials and runs in {state}"),
    )
}

fn container_path(path: &Path) -> Result<ContainerPath> {
    let text = path.to_str().ok_or_else(|| {
        let message = format!("{} is not UTF-8", path.display());
        RunError::new(RunErrorKind::InvalidInput, message)
    })?;
    Ok(text.parse()?)
}

/// Draws the token of a run: 256 bits in hexadecimal.
fn draw_token(entropy: &dyn Entropy) -> Result<Secret> {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes)?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[expect(clippy::disallowed_methods, reason = "clients take the token from the proxy's URL alone")]
fn proxy_url(token: &Secret, port: u16) -> String {
    format!("http://moat:{}@127.0.0.1:{port}", token.expose())
}
