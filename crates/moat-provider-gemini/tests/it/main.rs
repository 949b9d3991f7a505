//! The provider and the agent through their public API, against doubles of Google's servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
#[cfg(feature = "cli")]
mod cli;
mod conformance;
mod container;
mod grant;
mod launch;
mod refresh;
mod revoke;
mod rules;
mod status;
mod support;
mod upgrade;
