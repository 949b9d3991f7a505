//! One provider with every capability, and one with a single one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Response, StatusCode, request};
use moat_provider_core::*;
use time::OffsetDateTime;

/// The secret that it mints.
pub(crate) const SESSION: SecretName = SecretName::from_static("session");

#[derive(Clone, Debug)]
pub(crate) struct Everything {
    name: ProviderName,
    #[expect(dead_code, reason = "shows in Debug")]
    mode: &'static str,
    minted: [SecretName; 1],
    options: [GrantOption; 1],
    files: [HostFile; 1],
}

impl Default for Everything {
    fn default() -> Self {
        Self::configured("plain")
    }
}

impl Everything {
    pub(crate) fn configured(mode: &'static str) -> Self {
        Self {
            name: ProviderName::from_static("everything"),
            mode,
            minted: [SESSION],
            options: [GrantOption::switch("fast", "is quick")],
            files: [HostFile::new("settings").at(HostDir::Home, ".settings")],
        }
    }
}

/// Returns the shape of its placeholders.
pub(crate) fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("all_", Alphabet::LowerHex, 32)
}

impl Provider for Everything {
    fn name(&self) -> &ProviderName {
        &self.name
    }
    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }
    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }
    fn as_endpoint(&self) -> Option<&dyn EndpointProvider> {
        Some(self)
    }
    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }
    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        Some(self)
    }
    fn as_minting(&self) -> Option<&dyn MintingProvider> {
        Some(self)
    }
    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        Some(self)
    }
    fn as_diagnosable(&self) -> Option<&dyn DiagnosableProvider> {
        Some(self)
    }
    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Everything {
    fn grant_options(&self) -> &[GrantOption] {
        &self.options
    }

    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        if qualifier == "ok" { Ok(()) } else { Err(Error::invalid("only ok")) }
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let token = cx.terminal().ask_secret("Token").await;
            let token = token.map_err(|error| error.in_grant_of(&self.name))?;
            Ok(Credential::builder(request.key().clone(), token, cx.host().clock().now()).build())
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let target = Target::host("api.example")?;
        let placeholder = run.placeholder(credential.key(), "token", &shape())?;
        let secret = SecretRef::token(credential.key());
        proxy.credential(
            CredentialRule::new(target.clone(), AUTHORIZATION, HeaderTemplate::Bearer, secret)
                .placeholder(placeholder.clone()),
        );
        proxy.sign(SigningRule::new(
            target.under("/signed")?,
            credential.key(),
            [SESSION],
            placeholder,
            Arc::new(Signer),
        ));
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("the example has none"))
    }

    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        let var = |info: &&CredentialInfo| {
            let name = if run.is_default(info.key()) { "DEFAULT" } else { "OTHER" };
            EnvVar::new(name, run.placeholder(info.key(), "token", &shape())?.as_str())
        };
        credentials.iter().map(var).collect()
    }

    fn container_mounts(&self, _: &[&CredentialInfo], run: &RunContext) -> Result<ContainerMounts> {
        let mut mounts = ContainerMounts::default();
        if run.host_file(&self.files[0]).is_some() {
            mounts.files.push(StagedFile::new(run.home().join(".settings")?, "chosen"));
        }
        Ok(mounts)
    }

    fn host_files(&self) -> &[HostFile] {
        &self.files
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        record.lift_secret("session", SESSION);
        Ok(())
    }

    fn implied_dependencies(&self) -> &[&'static str] {
        &["tool"]
    }
}

#[derive(Debug)]
struct Signer;

impl RequestSigner for Signer {
    fn claims(&self) -> &[HeaderName] {
        &[AUTHORIZATION]
    }

    fn sign(
        &self,
        head: &mut request::Parts,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<BodySigning> {
        secrets.require(&SESSION)?;
        let stamp = now.unix_timestamp();
        head.headers.insert("x-signed-at", stamp.into());
        match head.uri.path() {
            "/head" => Ok(BodySigning::HeadOnly),
            "/whole" => Ok(BodySigning::Whole {
                limit: 10,
                finish: Box::new(|body, head| {
                    head.headers.insert("x-length", body.len().into());
                    Ok(())
                }),
            }),
            _ => Ok(BodySigning::Stream(Box::new(Chunks(0)))),
        }
    }
}

struct Chunks(usize);

impl BodySigner for Chunks {
    fn data(&mut self, chunk: Bytes) -> Result<Bytes> {
        self.0 += chunk.len();
        Ok(chunk)
    }

    fn end(&mut self) -> Result<Bytes> {
        Ok(self.0.to_string().into())
    }
}

impl RefreshableProvider for Everything {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        credential.expires_at().is_some()
    }

    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(1800)
    }

    fn refresh<'a>(
        &'a self,
        _: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(async move {
            if !self.can_refresh(credential.info()) {
                return Ok(Refreshed::Unchanged);
            }
            let token = Secret::new("renewed".into());
            Ok(Refreshed::Renewed(credential.renew().token(token).expires_at(None).build()))
        })
    }
}

impl RevocableProvider for Everything {
    fn revocation(&self, _: &CredentialInfo) -> Revocation {
        Revocation::Manual { instructions: "on the vendor's page".into() }
    }

    fn revoke<'a>(&'a self, _: &'a HostContext, _: &'a Credential) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "no API")) })
    }
}

impl MintingProvider for Everything {
    fn minted_secrets(&self) -> &[SecretName] {
        &self.minted
    }

    fn mint<'a>(
        &'a self,
        cx: &'a HostContext,
        _: &'a Credential,
        run: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>> {
        Box::pin(async move {
            let session = Secret::new(format!("session of {}", run.id()));
            let expiry = cx.clock().now() + Duration::from_secs(3600);
            Ok(Minted::new(Secrets::from_iter([(SESSION, session)]), Some(expiry)))
        })
    }
}

impl EndpointProvider for Everything {
    fn register_endpoints(
        &self,
        router: &mut EndpointRouter,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let token = run.placeholder(credential.key(), "endpoint", &shape())?;
        router.get("/session", AUTHORIZATION, token, Arc::new(SessionEndpoint))
    }
}

#[derive(Debug)]
struct SessionEndpoint;

impl EndpointHandler for SessionEndpoint {
    #[expect(clippy::disallowed_methods, reason = "an endpoint serves the minted secret")]
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async move {
            match call.secrets.current().await {
                Ok((secrets, expires_at)) => {
                    let left = expires_at.map(|at| at - call.clock.now()).unwrap_or_default();
                    let session = secrets.require(&SESSION).unwrap().expose().to_owned();
                    Response::new(format!("{session}, {} s", left.whole_seconds()).into())
                }
                Err(_) => {
                    let mut response = Response::new(Bytes::new());
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    response
                }
            }
        })
    }
}

impl RunStoppedHook for Everything {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async move {
            let seconds = (run.stopped_at - run.started_at).whole_seconds();
            let mut meta = run.state.clone();
            meta.insert("seconds".into(), seconds.to_string());
            meta.insert("workspace".into(), run.workspace.display().to_string());
            meta.insert("run".into(), run.run.to_string());
            Ok(meta)
        })
    }
}

impl DiagnosableProvider for Everything {
    fn diagnose<'a>(
        &'a self,
        _: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        let there = Diagnosis::good("grants", format!("{} of them", credentials.len()));
        let old = Diagnosis::warning("client", "version 1", "install version 2");
        let none = Diagnosis::bad("settings", "cannot be read", "chmod u+r ~/.settings");
        Box::pin(async { vec![there, old, none] })
    }
}

impl DescribableProvider for Everything {
    fn description(&self) -> &str {
        "An example of everything"
    }

    fn source(&self) -> ProviderSource {
        ProviderSource::Custom
    }
}

impl AgentProvider for Everything {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        let mine = |keys: &[CredentialKey]| -> Vec<_> {
            keys.iter().filter(|key| key.provider() == &self.name).cloned().collect()
        };
        match (mine(named), mine(stored)) {
            (named, _) if !named.is_empty() => Ok(named),
            (_, stored) if stored.len() == 1 => Ok(stored),
            (_, stored) if stored.is_empty() => {
                Err(Error::new(ErrorKind::CredentialNotFound, "nothing is granted")
                    .with_hint("moat grant everything"))
            }
            _ => Err(Error::new(ErrorKind::Conflict, "several would do")),
        }
    }

    fn prepare_container<'a>(
        &'a self,
        _: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async move {
            let mut config = ContainerConfig::default();
            let home = opts.run.home();
            let servers = format!("{:?}", opts.mcp_servers.keys());
            config.files.push(StagedFile::new(home.join("mcp")?, servers));
            config
                .files
                .push(StagedFile::new(home.join("AGENT.md")?, opts.runtime_context.clone()));
            config.env.push(EnvVar::new("AGENT_GRANTS", opts.credentials.len().to_string())?);
            config.mounts.push(MountConfig::new(
                MountSource::PrivateToWorkspace("sessions".into()),
                home.join(".sessions")?,
                MountAccess::ReadWrite,
            ));
            config.rules.reach(Target::host("cdn.example")?);
            config.state.insert("session".into(), "s-1".into());
            Ok(config)
        })
    }

    fn command(&self, launch: &Launch, config: &ContainerConfig) -> Result<Vec<String>> {
        let mut command = vec!["agent".to_owned()];
        match &launch.session {
            Session::Fresh => command.push(format!("--session={}", config.state["session"])),
            Session::Continue => command.push("--continue".into()),
            Session::Resume(id) => command.push(format!("--resume={id}")),
            _ => return Err(Error::new(ErrorKind::Unsupported, "no such session")),
        }
        if launch.mode == LaunchMode::Headless {
            command.push("--print".into());
        }
        if launch.approval == Approval::Unattended {
            command.push("--yes".into());
        }
        command.extend(launch.prompt.iter().flat_map(|p| ["--".to_owned(), p.clone()]));
        Ok(command)
    }

    #[cfg(feature = "cli")]
    fn register_cli(&self, command: clap::Command) -> clap::Command {
        command.arg(clap::Arg::new("mode").long("mode"))
    }

    #[cfg(feature = "cli")]
    fn from_matches(&self, matches: &clap::ArgMatches) -> Result<Option<Arc<dyn Provider>>> {
        match matches.get_one::<String>("mode").map(String::as_str) {
            None => Ok(None),
            Some("fast") => Ok(Some(Arc::new(Self::configured("turbo")))),
            Some(_) => Err(Error::invalid("--mode takes fast")),
        }
    }
}

/// An agent without a grant of its own, which leaves everything else as it is by default.
#[derive(Debug)]
pub(crate) struct AgentOnly(ProviderName);

impl Default for AgentOnly {
    fn default() -> Self {
        Self(ProviderName::from_static("agent-only"))
    }
}

impl Provider for AgentOnly {
    fn name(&self) -> &ProviderName {
        &self.0
    }
    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }
}

impl AgentProvider for AgentOnly {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        _: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        Ok(named.to_vec())
    }
    fn prepare_container<'a>(
        &'a self,
        _: &'a HostContext,
        _: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async { Ok(ContainerConfig::default()) })
    }
    fn command(&self, _: &Launch, _: &ContainerConfig) -> Result<Vec<String>> {
        Ok(vec!["agent".into()])
    }
}
