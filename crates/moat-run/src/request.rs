//! What a run is asked for.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

use moat_provider_core::{
    ContainerPath, EnvVar, GrantRef, Launch, McpServerConfig, Provider, StagedFile,
};
use moat_proxy::{Mode, Policy};
use serde_json::{Map, Value};

use crate::spec::{Bind, Stdio};

/// What a run is asked for. Everything but the workspace and the command has a default.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The directory that the container works in, absolute. It appears there under its own path.
    pub workspace: PathBuf,
    /// Program and arguments; empty where an agent says what to start, or where nothing is.
    pub command: Vec<String>,
    /// The grants that the person named.
    pub grants: Vec<GrantRef>,
    /// Those of them that fill an empty slot where several could (law L3).
    pub defaults: Vec<GrantRef>,
    /// The agent that prepares the container, and how it is started.
    pub agent: Option<AgentLaunch>,
    /// What the run may reach.
    pub policy: Policy,
    /// Where the run is isolated.
    pub place: Place,
    /// The port of loopback at which clients on the host reach the proxy ([`Place::Host`]); one of
    /// the system's choice without this.
    pub port: Option<NonZeroU16>,
    /// How long the home directory of the container is kept.
    pub home: Home,
    /// Variables of the person's environment that a program expects everywhere, such as the
    /// terminal and the language. Whatever is staged wins over them.
    pub ambient: Vec<EnvVar>,
    /// Variables that the person sets for this run. They win over what is staged.
    pub env: Vec<EnvVar>,
    /// Directories and files that the person adds.
    pub binds: Vec<Bind>,
    /// Files that the host stages for its own reasons, such as git's configuration.
    pub files: Vec<StagedFile>,
    /// Ports of the container that are to be reached from the host.
    pub publish: Vec<(u16, u16)>,
    /// Hosts that clients reach without the proxy, beside loopback.
    pub no_proxy: Vec<String>,
    /// MCP servers by name.
    pub mcp_servers: BTreeMap<String, McpServerConfig>,
    /// Settings of the agent on the host, as far as they are passed on.
    pub host_config: Map<String, Value>,
    /// Markdown for the agent's instruction file.
    pub runtime_context: String,
    /// How many bytes of each body of text stand in the record of its request.
    pub sample_bodies: usize,
    /// What the command's standard streams are.
    pub stdio: Stdio,
    /// What `metadata.json` says of the sandbox.
    pub sandbox_name: Option<String>,
    /// What `metadata.json` keeps for whoever asks for such a run again: flags, in the words of the
    /// program that takes them. It is not interpreted here, and holds no secret.
    pub options: Vec<String>,
}

impl RunRequest {
    /// Asks for a run of a command in a workspace, permissive and without grants.
    #[must_use]
    pub fn new(workspace: impl Into<PathBuf>, command: Vec<String>) -> Self {
        Self {
            workspace: workspace.into(),
            command,
            grants: Vec::new(),
            defaults: Vec::new(),
            agent: None,
            policy: Policy::builder(Mode::Permissive).build(),
            place: Place::default(),
            port: None,
            home: Home::default(),
            ambient: Vec::new(),
            env: Vec::new(),
            binds: Vec::new(),
            files: Vec::new(),
            publish: Vec::new(),
            no_proxy: Vec::new(),
            mcp_servers: BTreeMap::new(),
            host_config: Map::new(),
            runtime_context: String::new(),
            sample_bodies: 0,
            stdio: Stdio::Inherit,
            sandbox_name: None,
            options: Vec::new(),
        }
    }
}

/// An agent and how it is started.
#[derive(Clone, Debug)]
pub struct AgentLaunch {
    /// The agent, with its options set.
    pub provider: Arc<dyn Provider>,
    /// Which conversation, with which prompt.
    pub launch: Launch,
}

/// Where a run is isolated, which decides what paths mean and how the proxy is reached.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A container with a file system and a network of its own. The proxy is reached through the
    /// run's socket, which the bridge joins to a port of the container's loopback.
    Container {
        /// The home directory in the container.
        home: ContainerPath,
        /// The port of the container's loopback.
        port: u16,
    },
    /// The host itself: nothing is isolated. The proxy is reached through a port of loopback, with
    /// a token in its URL.
    Host,
}

impl Place {
    /// The port of the container's loopback on which the bridge listens.
    pub const PORT: u16 = 3128;
}

impl Default for Place {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the text is a path in a container")]
        let home = "/home/agent".parse().expect("a valid path");
        Self::Container { home, port: Self::PORT }
    }
}

/// How long the home directory of a container is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// It is removed with the run.
    #[default]
    Private,
    /// It is kept for the workspace, and the next run there has it again.
    KeptForWorkspace,
}
