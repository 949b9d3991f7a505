//! The real binary, with a cleared environment and a home of its own.

#![expect(clippy::unwrap_used, reason = "a test panics where its setup fails")]

mod agent;
mod config;
mod credentials;
mod demo;
mod doctor;
mod failures;
mod github;
mod proxy;
mod refresh;
mod resume;
mod runs;
mod stop;
mod support;
mod surface;
