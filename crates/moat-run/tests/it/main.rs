//! The tests of moat-run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod lifecycle;
mod minting;
mod sandbox;
mod support;
