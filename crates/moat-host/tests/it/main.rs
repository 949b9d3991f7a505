//! The tests of moat-host.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod commands;
mod failures;
mod files;
mod http;
mod person;
mod ports;
mod proxy;
mod pty;
mod redirects;
mod support;
