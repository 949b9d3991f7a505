#![doc = include_str!("../README.md")]

mod error;
pub mod git;
pub mod sandbox;
mod spec;
pub mod trust;

pub use crate::error::{Result, RunError, RunErrorKind};
pub use crate::spec::{Bind, ContainerSpec, Stdio, Way};
