//! Both providers and the agent through their public API, against doubles of Anthropic's API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
#[cfg(feature = "cli")]
mod cli;
mod conformance;
mod container;
mod grant;
mod host_files;
mod launch;
mod revoke;
mod rules;
mod status;
mod support;
mod upgrade;
