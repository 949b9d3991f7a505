//! Tests of the public interface.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod capabilities;
mod conflicts;
mod endpoints;
mod everything;
mod names;
mod placeholders;
mod ports;
mod records;
mod registry;
mod rules;
mod secrets;
mod staging;
mod support;
mod targets;
