//! The command between programs that are not ours, in the sandbox: `cargo xtask e2e` installs them
//! and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod anthropic;
mod aws;
mod claude;
mod clients;
mod codex;
mod demo;
mod forge;
mod github;
mod isolation;
mod machine;
mod mcp;
mod openai;
mod podman;
mod program;
mod shell;
mod sockets;
mod vendor;
