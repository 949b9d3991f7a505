//! The command between programs that are not ours, in the sandbox: `cargo xtask e2e` installs them
//! and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod agents;
mod anthropic;
mod aws;
mod claude;
mod clients;
mod codex;
mod copilot;
mod demo;
mod docker;
mod engine;
mod forge;
mod gemini;
mod github;
mod google;
mod isolation;
mod machine;
mod mcp;
mod model;
mod openai;
mod opencode;
mod pi;
mod podman;
mod program;
mod shell;
mod sockets;
mod terminals;
mod vendor;
