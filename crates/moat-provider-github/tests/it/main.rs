//! The provider through its public API, against doubles of GitHub.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod container;
mod grant;
mod refresh;
mod revoke;
mod rules;
mod status;
mod support;
mod upgrade;
mod wire;
