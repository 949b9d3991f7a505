//! The agent through its public API, against doubles of GitHub.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod agent;
#[cfg(feature = "cli")]
mod cli;
mod container;
mod launch;
mod support;
