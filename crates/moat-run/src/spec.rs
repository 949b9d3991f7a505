//! What a sandbox starts, as plain data.

use std::path::PathBuf;

use moat_provider_core::{ContainerPath, EnvVar, MountAccess, RunId};

/// A container that is ready to be started.
///
/// Made by the preparation of a run and searched for secrets before anybody sees it. A sandbox adds
/// only what it alone can know: its file system, its devices, the bridge to the proxy.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// The run.
    pub run: RunId,
    /// The whole environment: a sandbox starts from an empty one and sets these.
    pub env: Vec<EnvVar>,
    /// Host directories and files that appear in the container, outer ones first: home, workspace,
    /// staged files, mounts of providers.
    pub binds: Vec<Bind>,
    /// The home directory in the container.
    pub home: ContainerPath,
    /// Where the command starts.
    pub workdir: ContainerPath,
    /// Program and arguments, no shell.
    pub command: Vec<String>,
    /// How the container reaches the proxy.
    pub way: Way,
    /// Ports on loopback of the container that are to be reached from loopback of the host, as
    /// (port of the host, port in the container).
    pub publish: Vec<(u16, u16)>,
    /// What the command's standard streams are.
    pub stdio: Stdio,
}

impl ContainerSpec {
    /// Describes a container without environment, binds and published ports.
    #[must_use]
    pub fn new(run: RunId, home: ContainerPath, command: Vec<String>, way: Way) -> Self {
        Self {
            run,
            env: Vec::new(),
            binds: Vec::new(),
            workdir: home.clone(),
            home,
            command,
            way,
            publish: Vec::new(),
            stdio: Stdio::Inherit,
        }
    }
}

/// A host directory or file that appears in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The path on the host.
    pub source: PathBuf,
    /// The path in the container.
    pub target: ContainerPath,
    /// Whether the container may write.
    pub access: MountAccess,
}

/// How the container reaches the proxy.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the run's own socket, which *is* its identity. Where the container has a network of
    /// its own, the bridge listens there on a port of loopback and passes bytes on to the socket.
    Socket {
        /// The socket on the host, mode 0600.
        path: PathBuf,
        /// The port on the container's loopback.
        port: u16,
    },
    /// Through a port of the host, with the run's token in the proxy's URL.
    Port(u16),
}

impl Way {
    /// Returns the port of loopback at which clients in the container find the proxy.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Socket { port, .. } | Self::Port(port) => *port,
        }
    }
}

/// What the command's standard streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Those of this process; where they are a terminal, a terminal of the container's own that is
    /// joined to it.
    Inherit,
    /// Nothing to read, and output that the caller collects.
    Captured,
}
