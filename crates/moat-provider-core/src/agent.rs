//! Agents: providers that prepare a container for an AI agent and start it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    BoxFuture, ClientProgram, Credential, CredentialKey, EnvVar, HostContext, MountConfig,
    Provider, ProxyRules, Result, RunContext, StagedFile,
};

/// Prepares a container for an AI agent and says how to start it.
///
/// Options of one agent alone are builder methods of its own type, never fields of
/// [`PrepareOpts`]; with the feature `cli` they become flags.
pub trait AgentProvider: Provider {
    /// Chooses the grants that this run uses, from those that the person named and those that the
    /// store holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`](crate::ErrorKind::CredentialNotFound) with the command
    /// that grants, [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) with the flag to add when
    /// several would do.
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>>;

    /// Decides what goes into the container. Files are data: the host writes and removes them.
    ///
    /// # Errors
    ///
    /// Any kind, with a hint.
    fn prepare_container<'a>(
        &'a self,
        cx: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>>;

    /// Returns the command that starts the agent: program and arguments, no shell.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a launch that the agent does
    /// not offer.
    fn command(&self, launch: &Launch, config: &ContainerConfig) -> Result<Vec<String>>;

    /// Returns the program that [`command`](Self::command) starts, where it is one that a person
    /// installs.
    fn client(&self) -> Option<ClientProgram> {
        None
    }

    /// Adds the agent's flags to its own subcommand.
    #[cfg(feature = "cli")]
    fn register_cli(&self, command: clap::Command) -> clap::Command {
        command
    }

    /// Reads the agent's flags; returns a configured instance, which
    /// [`Registry::with`](crate::Registry::with) puts in this one's place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for flags that exclude each
    /// other.
    #[cfg(feature = "cli")]
    #[expect(clippy::wrong_self_convention, reason = "makes a provider from this one's flags")]
    fn from_matches(&self, matches: &clap::ArgMatches) -> Result<Option<Arc<dyn Provider>>> {
        let _ = matches;
        Ok(None)
    }
}

/// What an agent is given to prepare a container.
#[non_exhaustive]
#[derive(Clone)]
pub struct PrepareOpts {
    /// The run, with the home directory in the container.
    pub run: Arc<RunContext>,
    /// The grants that [`AgentProvider::select_grants`] chose, for questions to the vendor. Their
    /// secrets go nowhere else.
    pub credentials: Vec<Credential>,
    /// MCP servers by name.
    pub mcp_servers: BTreeMap<String, McpServerConfig>,
    /// Settings of the agent on the host, as far as the host passes them on.
    pub host_config: Map<String, Value>,
    /// Markdown for the agent's instruction file; empty for none.
    pub runtime_context: String,
    /// The names of the variables that the container will have on behalf of the run and its grants,
    /// for an agent that starts programs with those alone that its settings name.
    pub variables: Vec<String>,
    /// Which conversation the agent is about to open.
    pub session: Session,
}

impl PrepareOpts {
    /// Makes options for a run and its grants, with everything else empty.
    #[must_use]
    pub fn new(run: Arc<RunContext>, credentials: Vec<Credential>) -> Self {
        Self {
            run,
            credentials,
            mcp_servers: BTreeMap::new(),
            host_config: Map::new(),
            runtime_context: String::new(),
            variables: Vec::new(),
            session: Session::Fresh,
        }
    }
}

impl fmt::Debug for PrepareOpts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrepareOpts")
            .field("run", &self.run)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// An MCP server that an agent is told about.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpServerConfig {
    /// A program in the container that speaks over its standard streams.
    Local {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its variables, in addition to the agent's.
        env: Vec<EnvVar>,
    },
    /// A server that speaks streamable HTTP.
    Remote {
        /// An https URL.
        url: String,
        /// Headers that hold no secret.
        headers: BTreeMap<String, String>,
        /// The grant whose credential the proxy puts into requests.
        grant: Option<CredentialKey>,
    },
}

/// What an agent wants in its container.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct ContainerConfig {
    /// Variables.
    pub env: Vec<EnvVar>,
    /// Mounts.
    pub mounts: Vec<MountConfig>,
    /// Files.
    pub files: Vec<StagedFile>,
    /// Rules in addition to those of the grants, for hosts that are known only now.
    pub rules: ProxyRules,
    /// What the host keeps in `metadata.json` and hands to the
    /// [`RunStoppedHook`](crate::RunStoppedHook): a session's id.
    pub state: BTreeMap<String, String>,
}

/// How an agent is started.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Which conversation.
    pub session: Session,
    /// What the agent is told first. It may begin with a dash.
    pub prompt: Option<String>,
    /// Whether it stays for a dialogue.
    pub mode: LaunchMode,
    /// What it may do without asking.
    pub approval: Approval,
}

/// Which conversation an agent opens.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// A new one.
    #[default]
    Fresh,
    /// The latest one of this workspace.
    Continue,
    /// The one with this id.
    Resume(String),
}

/// Whether an agent stays for a dialogue.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaunchMode {
    /// It talks to the person on the terminal.
    #[default]
    Interactive,
    /// It answers the prompt and ends.
    Headless,
}

/// What an agent may do without asking.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// Everything: the sandbox is the border.
    #[default]
    Unattended,
    /// What the agent's own settings allow.
    AgentDefault,
}
