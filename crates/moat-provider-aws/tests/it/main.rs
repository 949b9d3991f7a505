//! The provider through its public API, against doubles of AWS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "doubles of AWS have to know the keys")]

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
