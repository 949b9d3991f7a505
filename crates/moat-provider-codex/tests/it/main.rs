//! The providers and the agent through their public API, against a double of OpenAI's servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
#[cfg(feature = "cli")]
mod cli;
mod conformance;
mod container;
mod diagnosis;
mod grant;
mod launch;
mod refresh;
mod revoke;
mod rules;
mod status;
mod support;
mod upgrade;
