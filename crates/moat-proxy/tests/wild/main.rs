//! The proxy between programs that are not ours: `cargo xtask e2e` installs them and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod container;
mod double;
mod program;
#[allow(dead_code, reason = "the other test binary uses all of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod client_curl;
