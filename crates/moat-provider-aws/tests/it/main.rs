//! The provider through its public API, against doubles of AWS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod container;
mod endpoint;
mod grant;
mod rules;
mod sign;
mod stream;
mod support;
mod upgrade;
mod v4;
