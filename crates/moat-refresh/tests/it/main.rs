//! The tests of moat-refresh.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod failures;
mod machine;
mod mint;
mod processes;
mod properties;
mod rejected;
mod renewing;
mod saving;
mod secrecy;
mod timing;
mod watching;
