//! The tests of moat-store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod contract;

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "file")]
mod support;
