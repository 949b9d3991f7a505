//! The provider through its public API, against doubles of services.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod container;
mod grant;
mod probe;
mod record;
mod rules;
mod support;
