//! What a run shall be: what was typed, and what the workspace's file adds to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{
    EnvVar, GrantRef, Launch, LaunchMode, McpServerConfig, Provider, Registry, Secret,
};
use moat_proxy::{Mode, Policy};
use moat_run::sandbox::{Sandbox, WayKind};
use moat_run::{AgentLaunch, Home, Place, RunRequest};

use super::super::resume::options;
use super::super::trust::{Asking, agree, trust_command};
use super::{agents, mounts, tools};
use crate::app::{App, plain_variable};
use crate::args::{AgentArgs, ConfigUse, EnvSpec, HomeChoice, RunArgs, SandboxChoice};
use crate::config::{McpServer, WorkspaceConfig};
use crate::error::{CliError, Result};

/// Variables of the person that programs expect everywhere and that say nothing about accounts.
const AMBIENT: [&str; 12] = [
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
    "TERM",
    "TZ",
];

/// Where programs are in a sandbox.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a run shall be.
pub(super) struct Wanted {
    pub(super) sandbox: SandboxChoice,
    args: RunArgs,
    config: WorkspaceConfig,
    workspace: PathBuf,
    agent: Option<(Arc<dyn Provider>, Launch)>,
}

impl Wanted {
    /// Reads `moat run`. An agent is named, or the command is its own.
    pub(super) async fn of_command(app: &App<'_>, args: RunArgs) -> Result<Self> {
        let (config, workspace) = config(app, &args).await?;
        let named = args.agent.as_ref().or(config.agent.as_ref()).cloned();
        let own = || args.command.first().filter(|word| agents::is_agent(app, word)).cloned();
        let agent = match named.or_else(own) {
            None => None,
            Some(name) => {
                let flags = config.agents.get(&name).map_or(&[][..], Vec::as_slice);
                Some((agents::configured(app, &name, flags)?, Launch::default()))
            }
        };
        if agent.is_none() && args.command.is_empty() {
            return Err(CliError::usage("there is no command to run")
                .with_hint("moat run --grant github -- gh pr list"));
        }
        Ok(Self::new(args, config, workspace, agent))
    }

    /// Reads `moat AGENT`.
    pub(super) async fn of_agent(app: &App<'_>, args: AgentArgs) -> Result<Self> {
        let AgentArgs { agent, configured, launch, run } = args;
        let (config, workspace) = config(app, &run).await?;
        let provider = match (configured, config.agents.get(agent.as_str())) {
            // What was typed wins over the file as a whole: flags of both cannot be told apart.
            (Some(configured), _) => configured,
            (None, flags) => {
                agents::configured(app, agent.as_str(), flags.map_or(&[], Vec::as_slice))?
            }
        };
        Ok(Self::new(run, config, workspace, Some((provider, launch))))
    }

    fn new(
        args: RunArgs,
        config: WorkspaceConfig,
        workspace: PathBuf,
        agent: Option<(Arc<dyn Provider>, Launch)>,
    ) -> Self {
        let sandbox = args.sandbox.or(config.sandbox).unwrap_or(SandboxChoice::Auto);
        Self { sandbox, args, config, workspace, agent }
    }

    /// Whether the run sets a variable, beside what is staged.
    pub(super) fn sets(&self, name: &str) -> bool {
        let typed = self.args.env.iter().any(|spec| match spec {
            EnvSpec::Set(var) => var.name() == name,
            EnvSpec::Inherit(inherited) => inherited == name,
        });
        typed || self.config.env.iter().any(|var| var.name() == name)
    }

    /// Whether an agent talks to the person.
    pub(super) fn is_dialogue(&self) -> bool {
        let launch = self.agent.as_ref().map(|(_, launch)| launch);
        launch.is_some_and(|launch| launch.mode == LaunchMode::Interactive)
    }

    /// Makes the request, and the registry in which the agent has its flags.
    pub(super) fn into_request(
        self,
        app: &App<'_>,
        sandbox: &dyn Sandbox,
    ) -> Result<(Registry, RunRequest)> {
        let Self { args, config, workspace, agent, .. } = self;
        let mut request = RunRequest::new(workspace, args.command.clone());
        request.policy = policy(&args, &config)?;
        request.grants = joined(&args.grants, &config.grants);
        request.defaults = joined(&args.network.defaults, &config.defaults);
        request.place = match sandbox.way() {
            WayKind::Port => Place::Host,
            _ => Place::default(),
        };
        request.home = match args.home.or(config.home) {
            Some(HomeChoice::Kept) => Home::KeptForWorkspace,
            _ => Home::Private,
        };
        request.ambient = ambient(app, &request.place)?;
        request.env = env(app, &args.env, &config.env)?;
        for mount in &config.mounts {
            request.binds.push(mounts::asked(mount)?);
        }
        for mount in &args.mounts {
            request.binds.push(mounts::typed(mount)?);
        }
        let publish = config.publish.iter().chain(&args.publish);
        request.publish = publish.map(|port| (port.host, port.container)).collect();
        request.no_proxy = joined(&args.no_proxy, &config.no_proxy);
        request.mcp_servers = mcp(app, &config, &mut request.grants)?;
        request.sandbox_name = Some(sandbox.name().to_owned());
        request.options = options(app, args.kept);
        if sandbox.name() == "bubblewrap" {
            // An image has programs of its own.
            let client = agent.as_ref().and_then(|(provider, _)| provider.as_agent()?.client());
            tools::show(app, &mut request, &args.tools, client.map(|client| client.name()))?;
        }
        let registry = match &agent {
            Some((provider, _)) => app.registry.with(Arc::clone(provider))?,
            None => app.registry.clone(),
        };
        request.agent = agent.map(|(provider, launch)| AgentLaunch { provider, launch });
        Ok((registry, request))
    }
}

/// Reads the workspace's file, and has the person agree to it.
async fn config(app: &App<'_>, args: &RunArgs) -> Result<(WorkspaceConfig, PathBuf)> {
    let workspace = app.workspace(args.workspace.as_deref())?;
    let how = match args.config {
        ConfigUse::Ignore => return Ok((WorkspaceConfig::default(), workspace)),
        ConfigUse::Trust => Asking::Agreed,
        ConfigUse::Ask => Asking::Person,
    };
    let config = WorkspaceConfig::read(&workspace)?.unwrap_or_default();
    let mut asks = config.asks();
    let mut fix = trust_command(&workspace);
    if args.sandbox == Some(SandboxChoice::None) {
        let further = config.asks_without_sandbox();
        if !further.is_empty() {
            // `moat trust` is about runs in a sandbox.
            fix = "moat run --trust-config".to_owned();
        }
        asks.extend(further);
    }
    agree(app, &workspace, &asks, how, &fix).await?;
    Ok((config, workspace))
}

/// Joins what was typed with what the file adds, each once.
fn joined<T: Clone + PartialEq>(typed: &[T], file: &[T]) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for value in typed.iter().chain(file) {
        if !all.contains(value) {
            all.push(value.clone());
        }
    }
    all
}

fn policy(args: &RunArgs, config: &WorkspaceConfig) -> Result<Policy> {
    let mode = args.network.mode.or(config.policy).unwrap_or(Mode::Permissive);
    let mut policy = Policy::builder(mode);
    for entry in args.network.allow.iter().chain(&config.allow) {
        policy = policy.allow(entry)?;
    }
    for entry in args.network.deny.iter().chain(&config.deny) {
        policy = policy.deny(entry)?;
    }
    Ok(policy.build())
}

fn ambient(app: &App<'_>, place: &Place) -> Result<Vec<EnvVar>> {
    let environment = app.system.environment();
    let mut ambient = Vec::new();
    for name in AMBIENT {
        if let Some(value) = plain_variable(&*environment, name)? {
            ambient.push(EnvVar::new(name, value)?);
        }
    }
    let path = match place {
        // Without a sandbox the person's programs are where they are.
        Place::Host => plain_variable(&*environment, "PATH")?,
        _ => None,
    };
    ambient.push(EnvVar::new("PATH", path.unwrap_or_else(|| PATH.to_owned()))?);
    Ok(ambient)
}

fn env(app: &App<'_>, typed: &[EnvSpec], file: &[EnvVar]) -> Result<Vec<EnvVar>> {
    let environment = app.system.environment();
    let mut env: BTreeMap<String, EnvVar> = BTreeMap::new();
    for var in file {
        env.insert(var.name().to_owned(), var.clone());
    }
    for spec in typed {
        let var = match spec {
            EnvSpec::Set(var) => var.clone(),
            EnvSpec::Inherit(name) => match environment.var(name)? {
                Some(value) => EnvVar::new(name, plain(&value))?,
                None => continue,
            },
        };
        env.insert(var.name().to_owned(), var);
    }
    Ok(env.into_values().collect())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person named the variable; the run refuses one that holds a secret of a grant"
)]
fn plain(value: &Secret) -> String {
    value.expose().to_owned()
}

fn mcp(
    app: &App<'_>,
    config: &WorkspaceConfig,
    grants: &mut Vec<GrantRef>,
) -> Result<BTreeMap<String, McpServerConfig>> {
    let mut servers = BTreeMap::new();
    for (name, server) in &config.mcp {
        let server = match server.clone() {
            McpServer::Local { command, args, env } => {
                McpServerConfig::Local { command, args, env }
            }
            McpServer::Remote { url, headers, grant } => {
                let key = grant.as_ref().map(|grant| app.key(grant)).transpose()?;
                grants.extend(grant.filter(|grant| !grants.contains(grant)));
                McpServerConfig::Remote { url, headers, grant: key }
            }
        };
        servers.insert(name.clone(), server);
    }
    Ok(servers)
}

/// Returns the home directory of the person, which no sandbox shows as a whole.
pub(super) fn person_home(app: &App<'_>) -> Option<PathBuf> {
    let home = plain_variable(&*app.system.environment(), "HOME").ok()??;
    Path::new(&home).canonicalize().ok()
}
