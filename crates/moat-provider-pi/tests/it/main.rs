//! The agent through its public API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
#[cfg(feature = "cli")]
mod cli;
mod container;
mod launch;
mod support;
