#![doc = include_str!("../README.md")]

mod beneath;
mod clean_up;
mod error;
pub mod git;
mod grants;
mod leak;
mod links;
mod live;
mod metadata;
mod prepare;
mod remove;
mod request;
mod rules;
mod run;
mod runner;
pub mod sandbox;
mod spec;
mod stage;
mod state;
pub mod trust;
mod watched;

pub use crate::error::{Result, RunError, RunErrorKind};
pub use crate::grants::GrantProblem;
pub use crate::metadata::{RunMetadata, RunState};
pub use crate::request::{AgentLaunch, Home, Place, RunRequest};
pub use crate::run::{Notice, Run, Stopped};
pub use crate::runner::{Runner, RunnerBuilder};
pub use crate::spec::{Bind, ContainerSpec, Stdio, Way};
pub use crate::state::StateDir;
