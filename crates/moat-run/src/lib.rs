#![doc = include_str!("../README.md")]

mod beneath;
mod error;
pub mod git;
mod grants;
mod leak;
mod metadata;
mod request;
pub mod sandbox;
mod spec;
mod stage;
mod state;
pub mod trust;

pub use crate::error::{Result, RunError, RunErrorKind};
pub use crate::grants::GrantProblem;
pub use crate::metadata::{RunMetadata, RunState};
pub use crate::request::{AgentLaunch, Home, Place, RunRequest};
pub use crate::spec::{Bind, ContainerSpec, Stdio, Way};
pub use crate::state::StateDir;
