//! The real binary, with a cleared environment and a home of its own.

#![expect(clippy::unwrap_used, reason = "a test panics where its setup fails")]

mod agent;
mod config;
mod credentials;
mod demo;
mod failures;
mod github;
mod resume;
mod runs;
mod support;
mod surface;
