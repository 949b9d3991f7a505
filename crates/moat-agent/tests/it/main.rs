//! The helpers through their public API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command_line;
mod grants;
mod instructions;
mod keys;
mod mcp;
mod session;
mod settings;
