//! Sandboxes: what isolates a run.
//!
//! A [`Sandbox`] starts what a [`ContainerSpec`] describes. [`detect`] picks one that works here:
//! [`Bubblewrap`], else an [`Engine`]. [`Unconfined`] isolates nothing and is never picked.

mod binds;
mod bubblewrap;
mod detect;
mod engine;
mod etc;
mod installed;
mod lookup;
mod modes;
mod process;
mod publish;
mod pump;
mod running;
mod seccomp;
mod streams;
mod terminal;
mod unconfined;
mod visit;

use std::fmt;

use moat_provider_core::BoxFuture;

use crate::{ContainerSpec, Result};

pub use self::bubblewrap::{Bubblewrap, Limits};
pub use self::detect::detect;
pub use self::engine::{Engine, EngineKind};
pub use self::installed::{INSTALLED, Installed};
pub use self::running::{Captured, Running, Signal};
pub use self::unconfined::{UNCONFINED_WARNING, Unconfined};
pub(crate) use self::visit::SOCKET as VISITS_SOCKET;
pub use self::visit::visit;

/// Where the run's socket appears in a sandbox.
pub const PROXY_SOCKET: &str = "/run/moat/proxy.sock";

/// Where the bridge appears in a sandbox.
const BRIDGE: &str = "/run/moat/moat-bridge";

/// Where the socket appears over which the host asks for connections into the sandbox.
const PUBLISH_SOCKET: &str = "/run/moat/publish.sock";

/// Starts containers.
pub trait Sandbox: fmt::Debug + Send + Sync {
    /// Returns the name by which a person chooses it: `bubblewrap`, `docker`, `podman`, `none`.
    fn name(&self) -> &'static str;

    /// Returns which way to the proxy its containers need.
    fn way(&self) -> WayKind;

    /// Returns what this machine lacks for it; nothing when it works.
    ///
    /// It tries: that a program is installed does not mean that it may do what it has to.
    fn missing(&self) -> BoxFuture<'_, Vec<Missing>>;

    /// Starts a container.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::SandboxMissing`](crate::RunErrorKind::SandboxMissing) when a program is
    /// missing, [`InvalidInput`](crate::RunErrorKind::InvalidInput) when the description asks for
    /// what this sandbox refuses (a bind that holds sockets, a program that is not in it), and
    /// [`SandboxFailed`](crate::RunErrorKind::SandboxFailed).
    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<Running>>;
}

/// Which way to the proxy a sandbox needs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayKind {
    /// [`Way::Socket`](crate::Way::Socket).
    Socket,
    /// [`Way::Port`](crate::Way::Port).
    Port,
}

/// Something that a sandbox needs and this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    what: String,
    fix: String,
}

impl Missing {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }

    /// Returns what is missing: a program, a right.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns the package or the command that brings it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.fix)
    }
}
