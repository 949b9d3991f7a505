//! The proxy between programs that are not ours: `cargo xtask e2e` installs them and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod container;
mod double;
mod origin_nginx;
mod origin_scripts;
mod program;
#[allow(dead_code, reason = "the other test binary uses all of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod client_curl;
mod client_git;
mod client_libraries;

mod client_streams;
mod client_wget;
mod trust;
